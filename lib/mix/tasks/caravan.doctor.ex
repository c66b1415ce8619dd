defmodule Mix.Tasks.Caravan.Doctor do
  @shortdoc "Says why a node has no cluster"

  @moduledoc """
  Says why a node has no cluster: looks at the library, the configuration, the node, its nameservers, the
  answers, the names made of them and each of the other nodes, and names one cause.

  The project is compiled and its configuration loaded, so that the topologies of `config :caravan` are
  looked at. `--query NAME` looks at another name, `--node NAME` says which node this would be.

      mix caravan.doctor --node app-4370@127.0.0.1 --query app.service.consul \\
        --node-name '{basename}-{port}@{ip}' --nameserver 127.0.0.1:8600

  The cookie is that of `RELEASE_COOKIE` or of `~/.erlang.cookie`, unless `--cookie-file FILE` gives another one.

  The arguments are those of `scripts/caravan doctor` ([doctor.md](docs/doctor.md)). It exits with 0,
  with 1 when it has found a fault, and with 2 when it could not look.
  """

  use Mix.Task

  @requirements ["app.config"]

  @impl Mix.Task
  def run(arguments) do
    case :caravan_command.run(Enum.map(["doctor" | arguments], &to_charlist/1)) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
