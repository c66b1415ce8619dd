defmodule Caravan.Epmd.Client do
  @moduledoc """
  The distribution without `epmd`, in `rel/vm.args.eex`:

      -start_epmd false
      -epmd_module Elixir.Caravan.Epmd.Client

  OTP calls the functions here; applications have no use for them. `:caravan_epmd` documents each.
  """

  # Nothing but calls: the distribution starts before Elixir does.

  @doc false
  defdelegate start_link(), to: :caravan_epmd

  @doc false
  defdelegate listen_port_please(name, host), to: :caravan_epmd

  @doc false
  defdelegate register_node(name, port), to: :caravan_epmd

  @doc false
  defdelegate register_node(name, port, family), to: :caravan_epmd

  @doc false
  defdelegate address_please(name, host, family), to: :caravan_epmd

  @doc false
  defdelegate port_please(name, host), to: :caravan_epmd

  @doc false
  defdelegate port_please(name, host, timeout), to: :caravan_epmd

  @doc false
  defdelegate names(), to: :caravan_epmd

  @doc false
  defdelegate names(host), to: :caravan_epmd
end
