defmodule Caravan.Cluster.DnsStrategyNodesTest do
  use ExUnit.Case, async: true

  import :caravan_test_network, only: [boot: 3, free_port: 0, node_name: 3]
  import :caravan_test_node, only: [await_peer: 2, call: 4]

  @moduletag timeout: 120_000
  @host ~c"n.test"

  # As an application with Caravan 1.0 has it, but for the nameserver of the test.
  @spec_of_10 [
    strategy: Caravan.Cluster.DnsStrategy,
    config: [query: "app.test", node_sname: "app", poll_interval: 1000]
  ]

  setup do
    {:ok, server} = :caravan_dns_server.start_link(%{})
    :ok = :caravan_dns_server.put(server, @host, :a, [{:a, 0, {127, 0, 0, 1}}])
    %{server: server}
  end

  for flags <- [[], [~c"-proto_dist", ~c"Elixir.Caravan.Epmd.Dist"]] do
    test "nodes with the strategy and the flags #{inspect(flags)} form a cluster", context do
      with_network(%{flags: unquote(flags)}, fn network ->
        names = for _ <- 1..3, do: node_name(network, ~c"app", free_port())
        publish(context.server, names)
        nodes = for name <- names, do: start(network, context.server, name)

        for node <- nodes, {name, of_name} <- Enum.zip(names, nodes), node != of_name do
          assert await_peer(node, name) == :ok
        end
      end)
    end
  end

  test "whoever starts the strategy can wait for the cluster", context do
    with_network(%{}, fn network ->
      [a, b] = for _ <- 1..2, do: node_name(network, ~c"app", free_port())
      publish(context.server, [a, b])
      [node_a, node_b] = for name <- [a, b], do: start(network, context.server, name)
      assert {:ok, [^b]} = call(node_a, Caravan.Cluster, :await, [:app, 1, 60_000])
      assert {:ok, [^a]} = call(node_b, Caravan.Cluster, :await, [:app, [a], 60_000])
    end)
  end

  test "find_nodes/1 leaves the node itself out, and those that are connected", context do
    with_network(%{}, fn network ->
      [a, b, c] = for _ <- 1..3, do: node_name(network, ~c"app", free_port())
      publish(context.server, [a, b])
      [node_a, _] = for name <- [a, b], do: start(network, context.server, name)
      assert {:ok, [^b]} = call(node_a, Caravan.Cluster, :await, [:app, 1, 60_000])
      publish(context.server, [a, b, c])

      config = %Caravan.Cluster.Config{
        topology: :app,
        query: "app.test",
        node_sname: "app",
        dns_client: Caravan.DnsClient.Cares,
        # False, whatever the node is.
        connect: {:erlang, :"=:=", [:nobody]},
        list_nodes: {:erlang, :nodes, [:connected]}
      }

      assert call(node_a, Caravan.Cluster.DnsStrategy, :find_nodes, [config]) ==
               {:error, [{c, false}]}
    end)
  end

  defp with_network(options, test) do
    code_path = for module <- [Caravan, Kernel], do: :filename.dirname(:code.which(module))
    options = Map.merge(options, %{host: @host, node: %{code_path: code_path}})
    :caravan_test_network.with(options, test)
  end

  defp publish(server, names) do
    ports = Enum.map(names, &Caravan.Epmd.dist_port/1)
    :ok = :caravan_dns_server.put(server, "app.test", :srv, Enum.map(ports, &record/1))
  end

  defp record(port), do: {:srv, 0, 1, 1, port, @host}

  defp start(network, server, name) do
    nameservers = :io_lib.format("~0p", [[:caravan_dns_server.nameserver(server)]])
    flags = [~c"-caravan", ~c"nameservers", nameservers]
    {^name, node} = boot(network, name, flags)
    {:ok, _} = call(node, :application, :ensure_all_started, [:caravan])
    child = Cluster.Strategy.State.child_spec(:app, @spec_of_10)
    {:ok, _} = call(node, :supervisor, :start_child, [:kernel_safe_sup, child])
    node
  end
end
