defmodule Caravan.DNSTest do
  use ExUnit.Case, async: true

  doctest Caravan.DNS

  setup do
    {:ok, server} = :caravan_dns_server.start_link(%{})
    %{server: server, nameservers: [List.to_string(:caravan_dns_server.nameserver(server))]}
  end

  test "an SRV lookup gives records and the addresses of their targets", context do
    :ok =
      :caravan_dns_server.put(context.server, "app.test", :srv, [
        {:srv, 30, 1, 2, 4371, "n1.test"}
      ])

    :ok = :caravan_dns_server.put(context.server, "n1.test", :a, [{:a, 30, {127, 0, 0, 1}}])

    assert Caravan.DNS.lookup("app.test", :srv, nameservers: context.nameservers) ==
             {:ok,
              %{
                records: [%{priority: 1, weight: 2, port: 4371, target: "n1.test", ttl: 30}],
                addresses: %{"n1.test" => [{127, 0, 0, 1}]},
                ttl: 30,
                complete: true
              }}
  end

  test "the answer comes as a message", context do
    ref = Caravan.DNS.lookup_async("none.test", :aaaa, nameservers: context.nameservers)
    assert_receive {:caravan_dns, ^ref, {:error, :nxdomain}}, 5_000
  end
end
