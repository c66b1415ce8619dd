defmodule Caravan.DnsClient do
  @moduledoc """
  The behaviour of modules that find nodes in DNS, or elsewhere: the option `:dns_client` of
  `Caravan.Cluster.DnsStrategy` and `Caravan.Cluster`.

  There are two: `Caravan.DnsClient.Cares`, the default, and `Caravan.DnsClient.InetRes`. A module
  of one's own needs the one function:

      defmodule MyApp.Inventory do
        @behaviour Caravan.DnsClient

        @impl true
        def get_nodes("app"), do: [{4370, "10.0.0.1"}, {4371, "10.0.0.1"}]
      end

  A topology calls it in a process of its own at every poll, so it may take its time.
  """

  @doc """
  Returns the port and the host of each node of a query, as they are in the names of the nodes.

  The empty list means that there are none. When nobody could be asked, the function is to raise:
  the topology then counts a failed poll, says so in its status and its log, and asks again, more
  rarely each time. Either way it keeps the nodes that it knows.

  ## Examples

      MyApp.Inventory.get_nodes("app")
      #=> [{4370, "10.0.0.1"}, {4371, "10.0.0.1"}]

  """
  @callback get_nodes(name :: binary()) :: [{port :: :inet.port_number(), host :: binary()}]
end
