defmodule Caravan.Epmd do
  @moduledoc """
  How the name of a node becomes the port of its distribution.

  The digits at the end of the part before the `@` are the port, if they are a number in `port_range`
  (default 1024 to 65535); otherwise it is `default_port` (default 4370). Both are keys of the `:caravan`
  application. The port of a helper, such as that of a release's `remote`, is the hash of its name.
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

      iex> Caravan.Epmd.dist_port("rem-1f3a-app-4834@example.net")
      65369

  """
  @spec dist_port(node() | String.t() | charlist()) :: :inet.port_number()
  defdelegate dist_port(node_name), to: :caravan_epmd

  @doc """
  Returns which port a name stands for, by which rule, and why.

  `node_name` is as in `dist_port/1`. The answer is a map:

    * `:port` - the port
    * `:rule` - `:name`, `:helper`, `:port_srv`, `:epmd`, `:erl_epmd_port`, `:erl_dist_port` or `:default_port`
    * `:explanation` - the same in words

  Nobody is asked: for `:port_srv` and `:epmd`, the port is the one that holds when they know nothing.

  ## Examples

      iex> Caravan.Epmd.explain(:"app-4834@example.net")
      %{port: 4834, rule: :name, explanation: "the digits at the end of the name, 4834"}

      iex> Caravan.Epmd.explain("app@example.net").explanation
      "the name ends in no digits: default_port, 4370"

      iex> Caravan.Epmd.explain("rem-1f3a-app-4834@example.net").explanation
      "the hash of a helper's name (pattern mix_remote), 65369"

  """
  @spec explain(node() | String.t() | charlist()) :: %{
          port: :inet.port_number(),
          rule:
            :name | :helper | :port_srv | :epmd | :erl_epmd_port | :erl_dist_port | :default_port,
          explanation: String.t()
        }
  def explain(node_name) do
    Map.update!(:caravan_epmd.explain(node_name), :explanation, &List.to_string/1)
  end
end
