defmodule Caravan.Cluster.ConfigTest do
  use ExUnit.Case, async: true

  alias Caravan.Cluster.Config
  alias Cluster.Strategy.State

  doctest Config

  @config [query: "app.test", node_sname: "app"]

  test "the fields are those of the state and its config, whatever they hold" do
    config = [query: :a, node_sname: :b, dns_client: :c, poll_interval: :d]
    state = %State{topology: "e", connect: :f, disconnect: :g, list_nodes: :h, config: config}

    assert Config.new(state) == %Config{
             query: :a,
             node_sname: :b,
             dns_client: :c,
             poll_interval: :d,
             topology: "e",
             connect: :f,
             disconnect: :g,
             list_nodes: :h,
             options: []
           }
  end

  test "the client is c-ares and the interval 5 s when the config does not say so" do
    config = Config.new(%State{config: @config})
    assert {config.dns_client, config.poll_interval} == {Caravan.DnsClient.Cares, 5000}
  end

  test "all further keys are options" do
    options = [max_nodes: 5, nameservers: ["127.0.0.1:8600"], unheard_of: 1]
    assert Config.new(%State{config: @config ++ options}).options == options
  end

  for key <- [:query, :node_sname] do
    test "a config without #{key} raises" do
      state = %State{config: Keyword.delete(@config, unquote(key))}
      assert %KeyError{key: unquote(key)} = catch_error(Config.new(state))
    end
  end

  test "an option has the value of the field that it is made of" do
    config = @config ++ [name: :other, node_basename: "other", connect: :other]
    options = Config.to_options(Config.new(%State{topology: :app, connect: :f, config: config}))

    assert options |> Keyword.take([:name, :node_basename, :connect]) |> Enum.sort() ==
             [connect: :f, name: :app, node_basename: "app"]
  end

  test "what libcluster leaves out has the default of the topology" do
    options = Config.to_options(Config.new(%State{topology: :app, config: @config}))

    assert Enum.sort(Keyword.keys(options)) ==
             ~w(dns_client name node_basename poll_interval query)a
  end

  test "a client of the user's is called, and that of c-ares is the topology itself" do
    for {client, option} <- [
          {Caravan.DnsClient.Cares, :default},
          {Caravan.DnsClient.InetRes, Caravan.DnsClient.InetRes},
          {MyClient, MyClient}
        ] do
      config = Config.new(%State{config: [dns_client: client] ++ @config})
      assert Config.to_options(config)[:dns_client] == option
    end
  end
end
