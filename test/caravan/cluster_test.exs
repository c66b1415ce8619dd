defmodule Caravan.ClusterTest do
  use ExUnit.Case, async: true

  doctest Caravan.Cluster

  @moduletag :capture_log

  setup do
    {:ok, server} = :caravan_dns_server.start_link(%{})
    :ok = :caravan_dns_server.put(server, "app.test", :srv, [{:srv, 0, 1, 1, 4371, "n1.test"}])
    nameserver = List.to_string(:caravan_dns_server.nameserver(server))
    options = [query: "app.test", node_basename: "app", nameservers: [nameserver]]
    %{server: server, options: options}
  end

  test "a topology runs under a supervisor, with a keyword list", context do
    start_supervised!({Caravan.Cluster, [name: :under_supervisor] ++ context.options})
    :ok = :caravan_dns_server.await_queries(context.server, 1, 5_000)

    assert %{name: :under_supervisor, connected: []} = Caravan.Cluster.status(:under_supervisor)
  end

  test "a topology is started, listed and stopped", context do
    options = [name: :started] ++ context.options
    {:ok, pid} = Caravan.Cluster.start(options)
    assert :started in Caravan.Cluster.topologies()
    assert {:error, {:already_started, ^pid}} = Caravan.Cluster.start(options)

    assert Caravan.Cluster.stop(:started) == :ok
    refute Process.alive?(pid)
    refute :started in Caravan.Cluster.topologies()
    assert Caravan.Cluster.stop(:started) == {:error, :not_found}
  end

  test "an exception of Elixir has its message in the log" do
    words = &IO.iodata_to_binary(:io_lib.format("~ts", [:caravan_exception.format({:error, &1})]))
    assert words.(%RuntimeError{message: "two\nlines"}) == "RuntimeError: two lines"
    assert words.(%KeyError{key: :a, term: %{}}) =~ "KeyError: key :a not found"
  end

  test "the options of a topology are replaced in place", context do
    pid = start_supervised!({Caravan.Cluster, [name: :changed] ++ context.options})

    assert {:error, {:bad_option, :poll_interval, 0, [_ | _]}} =
             Caravan.Cluster.change(:changed, [poll_interval: 0] ++ context.options)

    options = Keyword.put(context.options, :node_basename, "db")
    assert Caravan.Cluster.change(:changed, options) == :ok
    :caravan_test_topology.await(:changed, :wanted, [:"db-4371@n1.test"])
    assert Process.alive?(pid)
  end

  test "waiting ends with the nodes or with the time", context do
    start_supervised!({Caravan.Cluster, [name: :awaited] ++ context.options})
    assert Caravan.Cluster.await(:awaited, 0, :infinity) == {:ok, []}
    assert Caravan.Cluster.await(:awaited, 1, 0) == {:error, :timeout}
    assert Caravan.Cluster.await(:awaited, [:"app-4371@n1.test"], 0) == {:error, :timeout}
  end

  test "a topology has a health, and who waits for it to be ready is told", context do
    options = [name: :healthy, expect: 0, connect: {:erlang, :is_atom, []}] ++ context.options
    start_supervised!({Caravan.Cluster, options})
    assert {:ok, []} = Caravan.Cluster.await(:healthy, :ready, 5_000)
    health = Caravan.Cluster.health(:healthy)
    assert {:degraded, [_ | _]} = health
    assert "degraded: " <> _ = Caravan.Cluster.format_health(health)
  end

  test "a subscription begins with the nodes and ends", context do
    start_supervised!({Caravan.Cluster, [name: :subscribed] ++ context.options})
    assert Caravan.Cluster.subscribe(:subscribed) == {:ok, []}
    assert Caravan.Cluster.unsubscribe(:subscribed) == :ok
    assert Caravan.Cluster.unsubscribe(:subscribed) == :ok
  end

  test "a topology that is not there has no status, and nobody waits for it" do
    for {function, arguments} <- [
          status: [:nobody],
          await: [:nobody, 1, :infinity],
          subscribe: [:nobody],
          unsubscribe: [:nobody],
          change: [:nobody, [query: "app.test", node_basename: "app"]]
        ] do
      assert {:noproc, _} = catch_exit(apply(Caravan.Cluster, function, arguments))
    end
  end
end
