defmodule Caravan.Epmd.DistTest do
  use ExUnit.Case, async: true

  import :caravan_test_network, only: [boot: 2, boot: 3, free_port: 0, node_name: 3]
  import :caravan_test_node, only: [await_peer: 2, call: 4, listening_ports: 1]

  @moduletag timeout: 120_000

  # As in the vm.args of Caravan 1.0. The nodes have no Elixir on their path.
  @flags [~c"-proto_dist", ~c"Elixir.Caravan.Epmd.Dist"]
  @epmd_module [~c"-epmd_module", ~c"Elixir.Caravan.Epmd.Client"]

  defp with_network(options, test), do: :caravan_test_network.with(options, test)

  defp connect(node, name), do: call(node, :net_kernel, :connect_node, [name])

  test "every function that OTP calls on a distribution module is there" do
    required = ~w(listen address select accept accept_connection setup close is_node_name)a
    optional = ~w(setopts getopts childspecs)a

    called =
      for {name, _arity} = function <- :inet_tcp_dist.module_info(:exports),
          name in (required ++ optional),
          do: function

    assert Enum.all?(required, &Keyword.has_key?(called, &1))
    assert called -- Caravan.Epmd.Dist_dist.module_info(:exports) == []
  end

  test "nodes listen on the ports of their names and connect, each way" do
    with_network(%{flags: @flags}, fn network ->
      ports = [free_port(), free_port()]

      [{a, node_a}, {b, node_b}] =
        for port <- ports, do: boot(network, node_name(network, ~c"a", port), [])

      assert [listening_ports(node_a), listening_ports(node_b)] == Enum.map(ports, &[&1])
      assert connect(node_a, b)
      assert call(node_a, :rpc, :call, [b, :erlang, :node, []]) == b
      assert call(node_b, :erlang, :nodes, []) == [a]

      {_, node_c} = boot(network, ~c"c")
      assert connect(node_c, a)
      assert await_peer(node_c, b) == :ok
    end)
  end

  test "a node with the flag and one without it connect, each way" do
    with_network(%{}, fn network ->
      {_, old} = boot(network, node_name(network, ~c"old", free_port()), @flags)
      {new_name, _} = boot(network, ~c"new")
      assert connect(old, new_name)

      {old_name, _} = boot(network, node_name(network, ~c"old", free_port()), @flags)
      {_, new} = boot(network, ~c"new")
      assert connect(new, old_name)
    end)
  end

  test "a second node of a name fails" do
    with_network(%{flags: @flags}, fn network ->
      {name, _} = boot(network, ~c"a")
      node = :caravan_test_network.start(network, name, [])
      assert {:exited, 1, output} = :caravan_test_node.await_exit(node)
      assert output =~ "eaddrinuse"
    end)
  end

  test "a node that does not listen reaches a running one" do
    with_network(%{flags: @flags}, fn network ->
      {name, _} = boot(network, ~c"a")

      silent = node_name(network, ~c"a", free_port())
      {_, node} = boot(network, silent, [~c"-dist_listen", ~c"false"])
      assert listening_ports(node) == []
      assert connect(node, name)
    end)
  end

  test "a node without a name reaches a running one" do
    with_network(%{flags: @flags, name_flag: ~c"-sname", host: ~c"localhost"}, fn network ->
      {name, _} = boot(network, ~c"a")
      {:none, node} = boot(network, :none, [~c"-sname", ~c"undefined"])
      assert connect(node, name)
    end)
  end

  test "the options of connections are set and read" do
    with_network(%{flags: @flags}, fn network ->
      {_, node_a} = boot(network, ~c"a")
      {b, node_b} = boot(network, ~c"b")
      assert call(node_b, :net_kernel, :setopts, [:new, [nodelay: false]]) == :ok
      assert connect(node_a, b)
      assert call(node_a, :net_kernel, :setopts, [b, [nodelay: false]]) == :ok
      assert call(node_a, :net_kernel, :getopts, [b, [:nodelay]]) == {:ok, [nodelay: false]}
    end)
  end

  test "the flags of Caravan 1.0 start a node" do
    port = free_port()

    flags =
      @flags ++
        [~c"-start_epmd", ~c"false"] ++ @epmd_module ++ [~c"-name", ~c"app-#{port}@127.0.0.1"]

    {:ok, node} = :caravan_test_node.start_link(%{flags: flags})
    assert :caravan_test_node.await_boot(node) == :ok
    assert listening_ports(node) == [port]
    :ok = :caravan_test_node.kill(node)
  end
end
