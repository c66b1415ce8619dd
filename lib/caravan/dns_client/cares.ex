defmodule Caravan.DnsClient.Cares do
  @moduledoc """
  The default DNS client: SRV records through `Caravan.DNS`, from the nameservers in the
  configuration of the `:caravan` application.

  It asks over TCP first, so all records come: over UDP, Consul sends 3 of 200 and does not say
  so.
  """

  @behaviour Caravan.DnsClient

  @doc """
  Returns port and target of each SRV record of a name; the empty list when a nameserver says that
  there are none.

  Every other error of `Caravan.DNS` raises `RuntimeError` with the text of
  `Caravan.DNS.format_error/1`: that nobody could be asked must not look like a cluster without
  nodes.

  ## Examples

      Caravan.DnsClient.Cares.get_nodes("app.service.consul")
      #=> [{4370, "7f000001.addr.dc1.consul"}]

      iex> Caravan.DnsClient.Cares.get_nodes("no name")
      ** (RuntimeError) caravan: the lookup failed: badname

  """
  @impl Caravan.DnsClient
  @spec get_nodes(binary()) :: [{:inet.port_number(), binary()}]
  def get_nodes(name) when is_binary(name) do
    case :caravan_dns.lookup(name, :srv) do
      {:ok, %{records: records}} -> for %{port: port, target: host} <- records, do: {port, host}
      {:error, reason} when reason in [:nxdomain, :nodata] -> []
      {:error, reason} -> raise to_string(:caravan_dns.format_error(reason))
    end
  end
end
