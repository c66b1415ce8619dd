defmodule Caravan do
  @moduledoc """
  Erlang and Elixir clusters without `epmd`, formed from DNS SRV records.

    * `Caravan.Epmd.Client`: the module for `-epmd_module`; a node's port follows from its name.
    * `Caravan.Cluster`: connects the nodes that an SRV name lists, and keeps them connected.
    * `Caravan.Cluster.DnsStrategy`: the same for applications with libcluster.
    * `Caravan.DNS`: the lookups below it, for any process.

  Each is a thin view of the Erlang module that does the work: `:caravan_epmd`, `:caravan_cluster`
  and `:caravan_dns`.
  """
end
