defmodule Mix.Tasks.Caravan.Names do
  @shortdoc "Lists the Erlang nodes of this machine"

  @moduledoc """
  Lists the Erlang nodes of this machine, as `epmd -names` lists those that are registered.

      mix caravan.names

  The arguments are those of `scripts/caravan names` ([doctor.md](docs/doctor.md)).
  """

  use Mix.Task

  @requirements ["app.config"]

  @impl Mix.Task
  def run(arguments) do
    case :caravan_command.run(Enum.map(["names" | arguments], &to_charlist/1)) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
