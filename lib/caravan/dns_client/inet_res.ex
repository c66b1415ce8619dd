defmodule Caravan.DnsClient.InetRes do
  @moduledoc """
  The DNS client that was the default of Caravan 1.0: SRV records through OTP's `:inet_res`, from
  the nameservers in the configuration of that.

  It asks over UDP without EDNS, to which Consul answers with 3 instances at the most. It tells no
  failure from a name without records.
  """

  @behaviour Caravan.DnsClient

  @doc """
  Returns port and target of each SRV record of a name; the empty list also when the lookup fails.

  ## Examples

      Caravan.DnsClient.InetRes.get_nodes("app.service.consul")
      #=> [{4370, "7f000001.addr.dc1.consul"}]

  """
  @impl Caravan.DnsClient
  @spec get_nodes(binary()) :: [{:inet.port_number(), binary()}]
  def get_nodes(name) when is_binary(name) do
    for {_priority, _weight, port, host} <- :inet_res.lookup(to_charlist(name), :in, :srv),
        do: {port, to_string(host)}
  end
end
