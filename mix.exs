defmodule Caravan.MixProject do
  use Mix.Project

  # Both build tools read the one application resource file, so version and supervision tree are said once.
  {:ok, [{:application, :caravan, properties}]} =
    :file.consult(Path.expand("src/caravan.app.src", __DIR__))

  @properties properties

  def project do
    [
      app: :caravan,
      version: to_string(@properties[:vsn]),
      description: to_string(@properties[:description]),
      # From 1.14.0 to 1.20.4, on OTP 25.2.3 to 29.1.2: scripts/matrix runs both ends.
      elixir: "~> 1.14",
      compilers: [:cmake] ++ Mix.compilers(),
      aliases: ["compile.cmake": &compile_cmake/1],
      elixirc_paths: elixirc_paths(Mix.env()),
      erlc_paths: erlc_paths(Mix.env()),
      test_paths: ["test/caravan"],
      deps: deps(Mix.env()),
      package: package(),
      docs: docs()
    ]
  end

  def application do
    # In a release, Elixir's handler is there before the first line is logged; a plain `erl` may have none.
    @properties
    |> Keyword.take([:applications, :registered, :mod, :env])
    |> Keyword.update!(:applications, &(&1 ++ [:logger | test_applications(Mix.env())]))
    |> Keyword.put(:optional_applications, [:logger])
  end

  # Mix of Elixir 1.15 and later finds header files of the applications only that are listed.
  defp test_applications(:test), do: [:eunit]
  defp test_applications(_env), do: []

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp erlc_paths(:test), do: ["src", "test/support"]
  defp erlc_paths(_env), do: ["src"]

  # libcluster and telemetry are found at run time.
  defp deps(:docs), do: [{:ex_doc, "~> 0.30", runtime: false}]
  defp deps(_env), do: []

  defp package do
    [
      licenses: @properties[:licenses] |> Enum.map(&to_string/1),
      links:
        Map.new(@properties[:links], fn {name, url} -> {to_string(name), to_string(url)} end),
      files: Enum.map(@properties[:files], &to_string/1)
    ]
  end

  # The pages of hexdocs.
  defp docs do
    groups = [
      Start: ~w(getting-started how-it-works why-no-epmd development faq),
      "Set up": ~w(names-and-ports clusters options releases tls building),
      Platforms: ~w(consul nomad kubernetes ecs fly plain-dns docker servers),
      "Come from": ~w(migration upgrading),
      Operate: ~w(doctor troubleshooting health telemetry logs netsplits leaving helpers),
      Know: ~w(lookups performance scale reliability),
      Contribute: ~w(architecture simulation glossary)
    ]

    pages = for {group, names} <- groups, do: {group, Enum.map(names, &"docs/#{&1}.md")}

    [
      main: "readme",
      extras:
        ["README.md"] ++
          Enum.flat_map(pages, &elem(&1, 1)) ++
          ~w(SECURITY.md CONTRIBUTING.md CHANGELOG.md LICENSE NOTICE),
      groups_for_extras: pages,
      groups_for_modules: [
        Erlang: ~r/^:?caravan/,
        "For libcluster": [Caravan.Cluster.DnsStrategy, Caravan.Cluster.Config],
        "From Caravan 1.0": [
          Caravan.Epmd.Dist,
          Caravan.DnsClient,
          Caravan.DnsClient.Cares,
          Caravan.DnsClient.InetRes
        ]
      ]
    ]
  end

  # An alias as a compiler: a user's Mix finds no module of ours before it has compiled us.
  defp compile_cmake(_args) do
    cmake =
      System.find_executable("cmake") ||
        Mix.raise(String.trim(File.read!(Path.join(__DIR__, "cmake/without_cmake.txt"))))

    arguments = ["-DBUILD_DIR=#{build_dir()}", "-P", Path.join(__DIR__, "cmake/build.cmake")]

    options = [
      :binary,
      :exit_status,
      :stderr_to_stdout,
      line: 4096,
      args: arguments,
      env: cmake_env()
    ]

    case await_cmake(Port.open({:spawn_executable, cmake}, options), []) do
      {0, _output} -> {:ok, []}
      {_status, output} -> Mix.raise(output |> IO.iodata_to_binary() |> String.trim())
    end
  end

  # What the build says of itself is shown at once. All else is the output of a build that fails, and is the error.
  defp await_cmake(port, output) do
    receive do
      {^port, {:data, {:eol, "Caravan: " <> _ = line}}} ->
        Mix.shell().info(line)
        await_cmake(port, output)

      {^port, {:data, {:eol, line}}} ->
        await_cmake(port, [output, line, ?\n])

      {^port, {:data, {:noeol, part}}} ->
        await_cmake(port, [output, part])

      {^port, {:exit_status, status}} ->
        {status, output}
    end
  end

  # Beside the directories of the environments, since the library is the same in all of them.
  defp build_dir do
    env_dir = Mix.Project.build_path()
    beside = if System.get_env("MIX_BUILD_PATH"), do: env_dir, else: Path.dirname(env_dir)
    Path.join(beside, "cmake-caravan-#{Mix.target()}")
  end

  # Headers of the OTP that runs Mix, unless the target is another machine: Nerves then names its own.
  defp cmake_env do
    if Mix.target() == :host and System.get_env("ERLANG_ROOT_DIR") == nil,
      do: [{to_charlist("ERLANG_ROOT_DIR"), :code.root_dir()}],
      else: []
  end
end
