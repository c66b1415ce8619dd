defmodule Shop.NomadNodes do
  @moduledoc "Returns the nodes in the file that Nomad's `template` block writes: a line `ADDRESS PORT` for each."
  @behaviour Caravan.DnsClient

  @impl true
  def get_nodes(_query) do
    file = Path.join(System.fetch_env!("NOMAD_TASK_DIR"), "nodes")

    for line <- File.stream!(file), [address, port] <- [String.split(line)] do
      {String.to_integer(port), address}
    end
  end
end
