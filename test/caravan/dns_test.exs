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
                address_ttls: %{"n1.test" => 30},
                ttl: 30,
                complete: true
              }}
  end

  test "the answer comes as a message", context do
    ref = Caravan.DNS.lookup_async("none.test", :aaaa, nameservers: context.nameservers)
    assert_receive {:caravan_dns, ^ref, {:error, :nxdomain}}, 5_000
  end

  test "a resolver is opened, asked, counted and closed", context do
    :ok = :caravan_dns_server.put(context.server, "n1.test", :a, [{:a, 30, {10, 0, 0, 1}}])
    {:ok, resolver} = Caravan.DNS.open(nameservers: context.nameservers, hosts_file: :none)

    assert {:ok, %{records: [%{address: {10, 0, 0, 1}, ttl: 30}]}} =
             Caravan.DNS.lookup("n1.test", :addresses, resolver: resolver)

    assert {:ok, %{queries: 2}} = Caravan.DNS.stats(resolver)

    assert Caravan.DNS.close(resolver) == :ok
    assert Caravan.DNS.stats(resolver) == {:error, :closed}
    assert Caravan.DNS.lookup("n1.test", :a, resolver: resolver) == {:error, :closed}
  end

  test "options of a lookup win over those of its resolver", context do
    :ok = :caravan_dns_server.put(context.server, "n1.test", :a, [{:a, 30, {10, 0, 0, 1}}])
    {:ok, resolver} = Caravan.DNS.open(%{nameservers: context.nameservers, transport: :udp})

    {:ok, _} = Caravan.DNS.lookup("n1.test", :a, %{resolver: resolver})
    {:ok, _} = Caravan.DNS.lookup("n1.test", :a, resolver: resolver, transport: :tcp)

    assert [%{transport: :udp}, %{transport: :tcp}] = :caravan_dns_server.queries(context.server)
  end

  test "every error has a text of one line", context do
    {:error, reason} = Caravan.DNS.lookup("none.test", :a, nameservers: context.nameservers)
    assert reason == :nxdomain
    assert Caravan.DNS.format_error(reason) =~ ~r/\Acaravan: [^\n]*nxdomain[^\n]*\z/

    {:error, bad_option} = Caravan.DNS.open(hosts_file: "")
    assert {:bad_option, :hosts_file, "", _} = bad_option
    assert Caravan.DNS.format_error(bad_option) =~ ~r/\Acaravan: [^\n]*hosts_file[^\n]*\z/

    {:error, no_resolver} = Caravan.DNS.close(make_ref())
    assert {:bad_option, :resolver, _, _} = no_resolver
    assert Caravan.DNS.format_error(no_resolver) =~ "#Ref<"
  end
end
