defmodule Caravan.ClusterTest do
  use ExUnit.Case, async: true

  doctest Caravan.Cluster

  test "a topology runs under a supervisor, with a keyword list" do
    {:ok, server} = :caravan_dns_server.start_link(%{})
    nameserver = List.to_string(:caravan_dns_server.nameserver(server))

    start_supervised!(
      {Caravan.Cluster,
       name: :under_supervisor,
       query: "none.test",
       node_basename: "app",
       nameservers: [nameserver]}
    )

    :ok = :caravan_dns_server.await_queries(server, 1, 5_000)

    assert %{name: :under_supervisor, wanted: [], connected: []} =
             Caravan.Cluster.status(:under_supervisor)
  end
end
