defmodule Caravan.Cluster.DnsStrategyTest do
  # Modules and configuration of the whole VM are changed here.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog

  alias Caravan.Cluster.{Config, DnsStrategy}
  alias Cluster.Strategy.State

  doctest DnsStrategy

  @moduletag :capture_log

  # As a user writes it, but for the answer, which the test sets.
  defmodule Client do
    @behaviour Caravan.DnsClient

    def start_link(answer), do: Agent.start_link(fn -> answer end, name: __MODULE__)
    def answer_with(answer), do: Agent.update(__MODULE__, fn _ -> answer end)

    @impl true
    def get_nodes("app.test"), do: Agent.get(__MODULE__, & &1).()
  end

  # In the place of net_kernel and :erlang.
  def connect(test, result, node) do
    send(test, {:connect, node})
    result
  end

  def connected(nodes), do: nodes

  defp start_topology!(spec) do
    spec = [{:strategy, DnsStrategy} | spec]
    start_supervised!(State.child_spec(:strategy_test, spec))
  end

  describe "start_link/1" do
    setup do
      {:ok, server} = :caravan_dns_server.start_link(%{})
      records = [{:srv, 0, 1, 1, 4371, "n1.test"}, {:srv, 0, 1, 1, 4372, "n2.test"}]
      :ok = :caravan_dns_server.put(server, "app.test", :srv, records)

      config = [
        query: "app.test",
        node_sname: "app",
        nameservers: [:caravan_dns_server.nameserver(server)]
      ]

      %{server: server, config: config}
    end

    test "runs a topology with the name of libcluster's", %{config: config} do
      start_topology!(config: config)
      nodes = [:"app-4371@n1.test", :"app-4372@n2.test"]

      assert %{name: :strategy_test, last_lookup: :fresh, complete: true} =
               :caravan_test_topology.await(:strategy_test, :wanted, nodes)
    end

    test "emits the events of libcluster", %{config: config} do
      :caravan_test_telemetry.with(fn ->
        for topology <- [:strategy_test, "strategy_test"] do
          state = %State{
            topology: topology,
            config: config,
            connect: {__MODULE__, :connect, [self(), true]},
            list_nodes: {__MODULE__, :connected, [[]]}
          }

          start_supervised!(%{id: topology, start: {DnsStrategy, :start_link, [[state]]}})
          metadata = %{node: :"app-4371@n1.test", topology: topology}

          assert {%{duration: _}, ^metadata} =
                   :caravan_test_telemetry.await([:libcluster, :connect_node, :ok], metadata)

          :ok = stop_supervised(topology)
        end
      end)
    end

    test "takes a text as the name of a topology", %{config: config} do
      state = %State{topology: "strategy_test", config: config}
      start_supervised!(%{id: :text, start: {DnsStrategy, :start_link, [[state]]}})
      assert %{name: :strategy_test} = Caravan.Cluster.status(:strategy_test)
    end

    test "calls what libcluster says for connecting and listing", %{config: config} do
      start_topology!(
        config: config,
        connect: {__MODULE__, :connect, [self(), true]},
        list_nodes: {__MODULE__, :connected, [[:"app-4372@n2.test"]]}
      )

      assert_receive {:connect, :"app-4371@n1.test"}, 30_000
      # Not again and again, though the list still is without the node.
      :caravan_dns_fixture.await_value([], fn -> connecting() end)
      refute_received {:connect, :"app-4372@n2.test"}
    end

    test "takes the place of strategies that look for addresses or hosts", context do
      :ok = :caravan_dns_server.put(context.server, "a.test", :a, [{:a, 0, {10, 0, 0, 1}}])

      for {options, nodes} <- [
            {[query: "a.test", record: :a], [:"app@10.0.0.1"]},
            {[node_name: "{basename}@{target}"], [:"app@n1.test", :"app@n2.test"]}
          ] do
        start_topology!(config: Keyword.merge(context.config, options))
        :caravan_test_topology.await(:strategy_test, :wanted, nodes)
        :ok = stop_supervised(:strategy_test)
      end
    end

    test "takes a state without functions for connecting", %{config: config} do
      state = %State{topology: :strategy_test, config: config}
      {:ok, pid} = start_supervised({DnsStrategy, [state]})
      assert %{name: :strategy_test} = Caravan.Cluster.status(:strategy_test)
      assert DnsStrategy.start_link([state]) == {:error, {:already_started, pid}}
    end

    test "is started again by its supervisor", %{config: config} do
      pid = start_topology!(config: config)
      ref = Process.monitor(pid)

      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^ref, :process, ^pid, :killed}, 30_000
      await_registered(:"caravan_cluster.strategy_test", pid)
      nodes = [:"app-4371@n1.test", :"app-4372@n2.test"]
      :caravan_test_topology.await(:strategy_test, :wanted, nodes)
    end

    test "says which value is not allowed", %{config: config} do
      for {key, value} <- [poll_interval: 0, node_sname: "my app", query: "", timeout: 0] do
        state = State.of(:strategy_test, config: Keyword.put(config, key, value))
        option = if key == :node_sname, do: :node_basename, else: key
        assert {:error, {:bad_option, ^option, ^value, [_ | _]}} = DnsStrategy.start_link([state])
      end
    end

    test "says which option is unknown", %{config: config} do
      state = State.of(:strategy_test, config: [poll_intervall: 1000] ++ config)

      assert {:error, {:bad_option, :poll_intervall, 1000, [_ | _]}} =
               DnsStrategy.start_link([state])
    end

    test "raises when the config has no query", %{config: config} do
      state = State.of(:strategy_test, config: Keyword.delete(config, :query))
      assert_raise KeyError, fn -> DnsStrategy.start_link([state]) end
    end
  end

  describe "a DNS client of the user's" do
    setup do
      nodes = fn -> [{4371, "n1.test"}, {4372, ~c"n2.test"}] end
      start_supervised!(%{id: Client, start: {Client, :start_link, [nodes]}})
      start_topology!(config: [query: "app.test", node_sname: "app", dns_client: Client])
      %{nodes: nodes}
    end

    test "gives the nodes" do
      assert await_lookup(:fresh) == [:"app-4371@n1.test", :"app-4372@n2.test"]
    end

    test "that raises, or returns what is no record, is a failed poll", %{nodes: nodes} do
      for failure <- [
            fn -> raise "nobody there" end,
            fn -> throw(:nobody) end,
            fn -> exit(:nobody) end,
            fn -> :nobody end,
            fn -> [:nobody] end
          ] do
        Client.answer_with(nodes)
        wanted = await_lookup(:fresh)
        Client.answer_with(failure)
        assert await_lookup(:failed) == wanted
      end
    end

    test "that returns nothing leaves the nodes as they are" do
      wanted = await_lookup(:fresh)
      Client.answer_with(fn -> [] end)
      assert await_lookup(:empty) == wanted
    end

    test "that ends its own process is a failed poll" do
      wanted = await_lookup(:fresh)
      Client.answer_with(fn -> Process.exit(self(), :kill) end)
      assert await_lookup(:failed) == wanted
    end
  end

  describe "find_nodes/1" do
    defmodule Found do
      @behaviour Caravan.DnsClient

      @impl true
      def get_nodes("down.test"), do: raise("nobody there")

      def get_nodes("app.test"),
        do: [{4371, "n1.test"}, {4372, ~c"N2.test."}, {4371, "n1.test"}, {4373, "n3.test"}]

      def get_nodes("bad.test"), do: [{4371, "a b"}, {0, ""}, {4372, "n2.test"}, {4373, "a@b"}]
    end

    setup do
      %{
        config: %Config{
          topology: :find_nodes_test,
          query: "app.test",
          dns_client: Found,
          node_sname: "app",
          connect: {__MODULE__, :connect, [self(), true]},
          list_nodes: {__MODULE__, :connected, [[:"app-4373@n3.test"]]}
        }
      }
    end

    test "connects to the nodes that are missing, in turn", %{config: config} do
      assert DnsStrategy.find_nodes(config) == :ok
      assert received() == [:"app-4371@n1.test", :"app-4372@n2.test"]
    end

    test "says which nodes could not be connected to", %{config: config} do
      for result <- [false, :ignored] do
        config = %{config | connect: {__MODULE__, :connect, [self(), result]}}

        assert DnsStrategy.find_nodes(config) ==
                 {:error, [{:"app-4371@n1.test", result}, {:"app-4372@n2.test", result}]}
      end
    end

    test "leaves out what makes no name of a node", %{config: config} do
      assert DnsStrategy.find_nodes(%{config | query: "bad.test"}) == :ok
      assert received() == [:"app-4372@n2.test"]
    end

    test "takes no more than max_nodes", %{config: config} do
      assert DnsStrategy.find_nodes(%{config | options: [max_nodes: 1]}) == :ok
      assert received() == [:"app-4371@n1.test"]
    end

    test "raises what the client raises", %{config: config} do
      assert_raise RuntimeError, "nobody there", fn ->
        DnsStrategy.find_nodes(%{config | query: "down.test"})
      end
    end

    test "lets libcluster connect when that is there", %{config: config} do
      on_exit(&unload_libcluster/0)

      Code.compile_quoted(
        quote do
          defmodule Cluster.Strategy do
            def connect_nodes(topology, connect, list_nodes, nodes) do
              {Caravan.Cluster.DnsStrategyTest, :connect, [test, _]} = connect
              send(test, {:libcluster, topology, connect, list_nodes, nodes})
              {:error, [{:a@b, false}]}
            end
          end
        end
      )

      assert DnsStrategy.find_nodes(config) == {:error, [{:a@b, false}]}

      nodes = [:"app-4371@n1.test", :"app-4372@n2.test", :"app-4373@n3.test"]
      %{topology: topology, connect: connect, list_nodes: list_nodes} = config
      assert_received {:libcluster, ^topology, ^connect, ^list_nodes, ^nodes}
      assert received() == []
    end

    test "logs the nodes with config :caravan, debug: true", %{config: config} do
      refute capture_log(fn -> DnsStrategy.find_nodes(config) end) =~ "n1.test"

      Application.put_env(:caravan, :debug, true)
      on_exit(fn -> Application.delete_env(:caravan, :debug) end)
      log = capture_log(fn -> DnsStrategy.find_nodes(config) end)
      assert log =~ ~r/\[debug\] +caravan find_nodes_test: .*app-4371@n1.test/
    end
  end

  defp unload_libcluster do
    :code.delete(Cluster.Strategy)
    :code.purge(Cluster.Strategy)
  end

  # Every node that was connected to so far, in order.
  defp received do
    receive do
      {:connect, node} -> [node | received()]
    after
      0 -> []
    end
  end

  defp connecting, do: Caravan.Cluster.status(:strategy_test).connecting

  # The nodes that are wanted after a poll that has ended so.
  defp await_lookup(outcome) do
    :caravan_dns_fixture.await_value(outcome, fn ->
      :ok = Caravan.Cluster.poll(:strategy_test)

      case Caravan.Cluster.status(:strategy_test).last_lookup do
        {kind, _reason} -> kind
        kind -> kind
      end
    end)

    Caravan.Cluster.status(:strategy_test).wanted
  end

  # Nothing tells that a supervisor has started a process again.
  defp await_registered(name, before) do
    :caravan_dns_fixture.await_value(true, fn -> Process.whereis(name) not in [nil, before] end)
  end
end
