defmodule Mix.Tasks.Caravan.Dig do
  @shortdoc "Looks up the records of a name"

  @moduledoc """
  Looks up the records of a name through the resolver of Caravan, and prints them as people know it
  from `dig`.

      mix caravan.dig app.service.consul srv --nameserver 127.0.0.1:8600

  The arguments are those of `scripts/caravan dig` ([doctor.md](docs/doctor.md)). It exits with 0, with 1
  when there are no such records, and with 2 when nobody could be asked.
  """

  use Mix.Task

  @requirements ["app.config"]

  @impl Mix.Task
  def run(arguments) do
    case :caravan_command.run(Enum.map(["dig" | arguments], &to_charlist/1)) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
