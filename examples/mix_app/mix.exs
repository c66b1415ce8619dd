defmodule MixApp.MixProject do
  use Mix.Project

  def project do
    [
      app: :mix_app,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      # In your own project: {:caravan, "~> 2.1"}
      deps: [{:caravan, path: "../.."}],
      releases: [mix_app: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {MixApp.Application, []}]
  end
end
