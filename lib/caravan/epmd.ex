defmodule Caravan.Epmd do
  @moduledoc """
  How the name of a node becomes the port of its distribution.

  The digits at the end of the part before the `@` are the port, if they are a number in `port_range`
  (default 1024 to 65535); otherwise it is `default_port` (default 4370). Both are keys of the `:caravan`
  application.
  """

  @doc """
  Returns the port of a node, from its name with or without the host.

  Every atom, binary and charlist has one; any other term raises `ArgumentError`.

  ## Examples

      iex> Caravan.Epmd.dist_port(:"app-name-4834@example.net")
      4834

      iex> Caravan.Epmd.dist_port("app-name3434@example.net")
      3434

      iex> Caravan.Epmd.dist_port(~c"app@example.net")
      4370

      iex> Caravan.Epmd.dist_port("worker2@example.net")
      4370

  """
  @spec dist_port(node() | String.t() | charlist()) :: :inet.port_number()
  defdelegate dist_port(node_name), to: :caravan_epmd
end
