defmodule Caravan.DnsClient.InetResTest do
  use ExUnit.Case, async: true

  # In a node of its own, as the nameservers of :inet_res are those of the whole VM.
  setup do
    {:ok, server} = :caravan_dns_server.start_link(%{oversize: :trim})

    directory =
      Path.join(System.tmp_dir!(), "caravan_inet_res_#{System.unique_integer([:positive])}")

    on_exit(fn -> File.rm_rf!(directory) end)

    inetrc =
      :caravan_test_directory.write(
        to_charlist(Path.join(directory, "inetrc")),
        inetrc(:caravan_dns_server.port(server))
      )

    {:ok, node} =
      :caravan_test_node.start_link(%{
        env: [{~c"ERL_INETRC", inetrc}],
        code_path: for(module <- [Caravan, Kernel], do: :filename.dirname(:code.which(module)))
      })

    :ok = :caravan_test_node.await_boot(node)
    %{server: server, node: node}
  end

  # No resolv.conf, whose nameservers would replace ours.
  defp inetrc(port),
    do: ~s({lookup, [dns]}. {resolv_conf, ""}. {nameserver, {127,0,0,1}, #{port}}.)

  defp get_nodes(node, name),
    do: :caravan_test_node.call(node, Caravan.DnsClient.InetRes, :get_nodes, [name])

  defp put(server, answer), do: :ok = :caravan_dns_server.put(server, "app.test", :srv, answer)

  test "each record is a port and a host", %{server: server, node: node} do
    put(server, [{:srv, 30, 1, 2, 4371, "n1.test"}, {:srv, 30, 1, 2, 4372, "n2.test"}])
    assert Enum.sort(get_nodes(node, "app.test")) == [{4371, "n1.test"}, {4372, "n2.test"}]
  end

  test "every failure is the empty list", %{server: server, node: node} do
    for fault <- [:nxdomain, [], :refused, :notimp] do
      put(server, fault)
      assert {fault, get_nodes(node, "app.test")} == {fault, []}
    end

    :ok = :caravan_dns_server.close_sockets(server)
    assert get_nodes(node, "app.test") == []
  end
end
