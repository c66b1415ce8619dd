defmodule Caravan.DnsClient.CaresTest do
  # The client has no options: it asks the nameservers of the application.
  use ExUnit.Case, async: false

  alias Caravan.DnsClient.Cares

  doctest Cares

  setup do
    {:ok, server} = :caravan_dns_server.start_link(%{oversize: :trim})
    before = Application.fetch_env(:caravan, :nameservers)
    Application.put_env(:caravan, :nameservers, [:caravan_dns_server.nameserver(server)])
    on_exit(fn -> restore(before) end)
    %{server: server}
  end

  defp restore({:ok, nameservers}), do: Application.put_env(:caravan, :nameservers, nameservers)
  defp restore(:error), do: Application.delete_env(:caravan, :nameservers)

  test "each record is a port and a host", %{server: server} do
    records = [{:srv, 30, 1, 2, 4371, "n1.test"}, {:srv, 30, 1, 2, 4372, "n2.test"}]
    :ok = :caravan_dns_server.put(server, "app.test", :srv, records)

    assert Enum.sort(Cares.get_nodes("app.test")) == [{4371, "n1.test"}, {4372, "n2.test"}]
  end

  test "all records come, also from a nameserver that cuts what it sends over UDP", %{
    server: server
  } do
    ports = Enum.to_list(10_001..10_500)
    :ok = :caravan_dns_server.put(server, "app.test", :srv, Enum.map(ports, &record/1))

    assert Enum.sort(Cares.get_nodes("app.test")) == Enum.map(ports, &{&1, "n.test"})
  end

  defp record(port), do: {:srv, 30, 1, 1, port, "n.test"}

  test "a nameserver's word that there are none is the empty list", %{server: server} do
    for none <- [:nxdomain, []] do
      :ok = :caravan_dns_server.put(server, "app.test", :srv, none)
      assert Cares.get_nodes("app.test") == []
    end
  end

  test "whatever else happens raises with the reason", %{server: server} do
    for {fault, reason} <- [
          servfail: :servfail,
          refused: :refused,
          notimp: :notimp,
          formerr: :formerr,
          raw: :badresp
        ] do
      answer = if fault == :raw, do: {:raw, &:caravan_dns_fixture.malformed/1}, else: fault
      :ok = :caravan_dns_server.put(server, "app.test", :srv, answer)

      assert Exception.message(catch_error(Cares.get_nodes("app.test"))) ==
               Caravan.DNS.format_error(reason)
    end

    :ok = :caravan_dns_server.close_sockets(server)

    assert_raise RuntimeError, Caravan.DNS.format_error(:connrefused), fn ->
      Cares.get_nodes("app.test")
    end
  end

  test "a configuration that makes no resolver raises with the option" do
    Application.put_env(:caravan, :nameservers, ["nowhere"])

    {:error, {:bad_option, {:nameservers, :environment}, ["nowhere"], _} = reason} =
      Caravan.DNS.stats()

    assert_raise RuntimeError, Caravan.DNS.format_error(reason), fn ->
      Cares.get_nodes("app.test")
    end
  end
end
