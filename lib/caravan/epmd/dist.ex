defmodule Caravan.Epmd.Dist_dist do
  @moduledoc """
  The distribution over TCP, `:inet_tcp_dist`, under the name that Caravan 1.0 gave to it:

      -proto_dist Elixir.Caravan.Epmd.Dist

  The flag is accepted still and needed no more: `Caravan.Epmd.Client` tells OTP the port to
  listen on. Without it, `inet6_tcp`, `inet_tls` and `inet6_tls` may be had. OTP calls the
  functions here; applications have no use for them.
  """

  # Nothing but calls: the distribution starts before Elixir does.

  @doc false
  defdelegate listen(name), to: :inet_tcp_dist

  @doc false
  defdelegate listen(name, host), to: :inet_tcp_dist

  @doc false
  defdelegate address(), to: :inet_tcp_dist

  @doc false
  defdelegate select(node), to: :inet_tcp_dist

  @doc false
  defdelegate accept(listen), to: :inet_tcp_dist

  @doc false
  defdelegate accept_connection(accept_pid, socket, my_node, allowed, setup_time),
    to: :inet_tcp_dist

  @doc false
  defdelegate setup(node, type, my_node, long_or_short_names, setup_time), to: :inet_tcp_dist

  @doc false
  defdelegate close(listen), to: :inet_tcp_dist

  @doc false
  defdelegate is_node_name(node), to: :inet_tcp_dist

  @doc false
  defdelegate setopts(listen, options), to: :inet_tcp_dist

  @doc false
  defdelegate getopts(listen, options), to: :inet_tcp_dist
end
