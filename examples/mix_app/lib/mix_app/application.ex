defmodule MixApp.Application do
  @moduledoc false
  use Application

  # Nothing here starts Caravan: it is a dependency, so it starts first, from the topologies in config/config.exs.
  @impl true
  def start(_type, _args) do
    Supervisor.start_link([MixApp.Members], strategy: :one_for_one, name: MixApp.Supervisor)
  end
end
