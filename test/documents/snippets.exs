# Tries snippets of documents, by their language, in a node that asks a DNS server at 127.0.0.1:8600, where the documents have
# Consul. It needs a network namespace of its own, since the ports are those of the documents, with the addresses 10.0.0.1 and
# 10.0.0.2. DNS lists two other nodes, which run, and app-4370@10.0.0.2 runs with another cookie.
defmodule Caravan.Documents.Snippets do
  @localhost {127, 0, 0, 1}
  @target ~c"7f000001.addr.dc1.consul"
  # The ports of other nodes.
  @others [4371, 4372]
  # Milliseconds.
  @time_limit 30_000
  # Of a command, which may compile the library.
  @limit_of_command_s 300

  @doc "Starts what snippets find: the DNS server and the other nodes."
  def start do
    {:ok, server} = :caravan_dns_server.start_link(%{ip: @localhost, port: 8600})
    srv = for port <- [4370 | @others], do: {:srv, 0, 1, 1, port, @target}
    :ok = :caravan_dns_server.put(server, ~c"app.service.consul", :srv, srv)
    :ok = :caravan_dns_server.put(server, @target, :a, [{:a, 0, @localhost}])
    Application.put_env(:caravan, :nameservers, ["127.0.0.1:8600"])
    {:ok, _} = Application.ensure_all_started(:caravan)
    for port <- @others, do: start_node("app-#{port}@#{@target}", "documents", "127.0.0.1")
    start_node("app-4370@10.0.0.2", "another", "10.0.0.2")
  end

  # It ends with its standard input, which this VM holds.
  defp start_node(name, cookie, address) do
    ebin = Application.app_dir(:caravan, "ebin")

    arguments =
      ~w(-noshell -pa #{ebin} -start_epmd false -epmd_module caravan_epmd -setcookie #{cookie} -name #{name}) ++
        listening_at(address) ++
        ["-caravan", "nameservers", ~s(["127.0.0.1:8600"])] ++
        ["-eval", "io:put_chars(\"up\"), spawn(fun() -> eof = io:get_line([]), halt() end)."]

    node =
      Port.open({:spawn_executable, System.find_executable("erl")}, [:binary, args: arguments])

    receive do
      {^node, {:data, "up"}} -> :ok
    end
  end

  defp listening_at(address) do
    ["-kernel", "inet_dist_use_interface", "{" <> String.replace(address, ".", ",") <> "}"]
  end

  @doc "Tries one snippet. Returns `:ok`, or `{:error, reason}`; it may raise as well."
  def try("elixir", lines), do: elixir(Enum.join(lines, "\n"))
  def try("erlang", lines), do: erlang(Enum.join(lines, "\n"))
  def try("json", lines), do: json(Enum.join(lines, "\n"))
  def try("text", [path | lines]), do: file(path, lines)
  def try("sh", lines), do: shell(Enum.join(lines, "\n"))
  def try(language, _lines), do: {:error, "no way to try a block of language '#{language}'"}

  # The name of the file says what reads it.
  defp file(path, lines) do
    cond do
      path =~ ~r/vm\.args/ -> vm_args(lines)
      path =~ ~r/env\.sh/ -> shell(Enum.join(["RELEASE_ROOT=." | lines], "\n"))
      true -> {:error, "no way to try the file #{path}"}
    end
  end

  # Configuration is evaluated and checked as a node does; other code is evaluated.
  defp elixir(text) do
    cond do
      text =~ ~r/^\s*(import Config|config :)/m -> elixir_config(text)
      text =~ ~r/^# mix.exs/ -> dependencies(text)
      text =~ ~r/\A\w+: / -> evaluate_elixir("[" <> text <> "]")
      true -> evaluate_elixir(text)
    end
  end

  defp elixir_config(text) do
    {dependencies, config} = split_at_file(text)
    if dependencies != "", do: dependencies(dependencies)

    file = Path.join(System.tmp_dir!(), "caravan_document.exs")
    File.write!(file, "import Config\n" <> config)
    config = Config.Reader.read!(file, env: :dev, target: :host)
    Enum.each(config, &application/1)
  end

  # A block may have files one after the other, each below a comment with its name.
  defp split_at_file(text) do
    case String.split(text, ~r/^# config.*\n/m, parts: 2) do
      ["# mix.exs" <> _ = dependencies, config] -> {dependencies, config}
      _ -> {"", text}
    end
  end

  defp application({:caravan, config}),
    do: Enum.each(config, fn {key, value} -> key_of_application(key, value) end)

  defp application({:libcluster, [topologies: topologies]}) do
    for {name, options} <- topologies do
      {:ok, _} = strategy(options[:strategy], name, options[:config])
    end
  end

  defp application({_other, _config}), do: :ok

  defp strategy(Caravan.Cluster.DnsStrategy, name, config) do
    {basename, config} = Keyword.pop!(config, :node_sname)
    check_topology(name, [{:node_basename, basename} | config])
  end

  defp key_of_application(:topologies, topologies) do
    for {name, options} <- topologies, do: {:ok, _} = check_topology(name, options)
  end

  defp key_of_application(key, value) do
    {^key, _default, {parse, _allowed}, _text} = List.keyfind!(:caravan_config.options(), key, 0)
    {:ok, _} = parse.(value)
  end

  defp check_topology(name, options) do
    options
    |> Enum.to_list()
    |> List.keystore(:name, 0, {:name, name})
    |> :caravan_cluster.check_options()
  end

  defp dependencies(text) do
    {{:caravan, options}, _} = Code.eval_string(text)
    true = Keyword.has_key?(options, :git)
    :ok
  end

  defp evaluate_elixir(text) do
    within_time_limit(fn ->
      {value, _} = Code.eval_string(text, [])
      elixir_value(value)
    end)
  end

  # The children of a supervisor.
  defp elixir_value({Caravan.Cluster, options}),
    do: {:ok, _} = :caravan_cluster.check_options(options)

  defp elixir_value(_value), do: :ok

  # Terms of configuration are checked as a node does; a module is compiled; expressions are evaluated.
  defp erlang(text) do
    cond do
      text =~ ~r/^%% \S*(rebar|sys|tls)\.config/ or text =~ ~r/\A\{caravan,/ -> erlang_terms(text)
      text =~ ~r/^-module\(/m -> erlang_module(text)
      true -> evaluate_erlang(text)
    end
  end

  defp erlang_terms(text) do
    for part <- String.split(text, ~r/^%% .*\n/m, trim: true),
        term <- terms(part),
        do: config_term(term)

    :ok
  end

  # Excerpts have no full stop at their end.
  defp terms(text) do
    text = text |> String.trim() |> String.trim_trailing(",")
    text = if String.ends_with?(text, "."), do: text, else: text <> "."
    {:ok, tokens, _} = text |> String.to_charlist() |> :erl_scan.string()
    terms_of_tokens(tokens, [])
  end

  defp terms_of_tokens([], []), do: []

  defp terms_of_tokens(tokens, []) do
    {form, rest} = Enum.split_while(tokens, &(elem(&1, 0) != :dot))
    {:ok, term} = :erl_parse.parse_term(form ++ [hd(rest)])
    [term | terms_of_tokens(tl(rest), [])]
  end

  defp config_term({:caravan, config}) when is_list(config), do: application({:caravan, config})
  defp config_term(terms) when is_list(terms), do: Enum.each(terms, &config_term/1)
  defp config_term(_term), do: :ok

  defp erlang_module(text) do
    file = Path.join(System.tmp_dir!(), "caravan_document.erl")
    [_, module] = Regex.run(~r/^-module\((\w+)\)/m, text)
    file = Path.join(Path.dirname(file), module <> ".erl")
    File.write!(file, text)
    {:ok, _, _, _} = :compile.file(String.to_charlist(file), [:binary, :return])
    :ok
  end

  defp evaluate_erlang(text) do
    # Whoever comments what an expression gives ends it with a full stop.
    text = text |> String.trim() |> then(&if(&1 =~ ~r/[.]\s*(%%.*)?\z/, do: &1, else: &1 <> "."))
    {:ok, tokens, _} = text |> String.to_charlist() |> :erl_scan.string()

    within_time_limit(fn ->
      tokens
      |> Enum.chunk_while(
        [],
        fn
          {:dot, _} = dot, form -> {:cont, Enum.reverse([dot | form]), []}
          token, form -> {:cont, [token | form]}
        end,
        fn form -> {:cont, form, []} end
      )
      |> Enum.reject(&(&1 == []))
      |> Enum.reduce([], fn form, bindings ->
        {:ok, expressions} = :erl_parse.parse_exprs(form)
        {:value, _, bindings} = :erl_eval.exprs(expressions, bindings)
        bindings
      end)

      :ok
    end)
  end

  # In a process of its own: what is sent to the snippet stays there, and so does a crash.
  defp within_time_limit(function) do
    {pid, monitor} = spawn_monitor(function)

    receive do
      {:DOWN, ^monitor, :process, ^pid, :normal} -> :ok
      {:DOWN, ^monitor, :process, ^pid, reason} -> {:error, inspect(reason)}
    after
      @time_limit ->
        Process.exit(pid, :kill)
        {:error, "it takes longer than #{div(@time_limit, 1000)} s"}
    end
  end

  # There is no parser of JSON before OTP 27, and Debian has Python's.
  defp json(text) do
    case System.cmd("python3", ["-c", "import json, sys; json.loads(sys.argv[1])", text],
           stderr_to_stdout: true
         ) do
      {_, 0} -> :ok
      {output, _} -> {:error, output}
    end
  end

  # A node starts with these arguments. Variables are those of the shell. It listens where no other node does.
  defp vm_args(lines) do
    file = Path.join(System.tmp_dir!(), "caravan_document.args")
    environment = [{"ERL_DIST_PORT", "4399"}]

    {text, 0} =
      System.cmd("sh", ["-c", "cat <<END\n" <> Enum.join(lines, "\n") <> "\nEND\n"],
        env: environment
      )

    name = if text =~ ~r/^-s?name /m, do: [], else: ["-name", "app-4399@127.0.0.1"]
    ebin = Application.app_dir(:caravan, "ebin")

    arguments =
      name ++
        ["-noshell", "-pa", ebin, "-args_file", file] ++
        listening_at("127.0.0.9") ++
        ["-eval", "true = is_alive(), io:put_chars(\"up\"), halt()."]

    File.write!(file, text)

    case run("erl", arguments, environment) do
      {output, 0} -> if output =~ ~r/up\z/, do: :ok, else: {:error, output}
      {output, _} -> {:error, output}
    end
  end

  # Whatever hangs is stopped, with all that it has started.
  defp run(program, arguments, environment) do
    limit = Integer.to_string(@limit_of_command_s)

    System.cmd("timeout", ["-k", "5", limit, program | arguments],
      stderr_to_stdout: true,
      env: environment
    )
  end

  # What a snippet writes stays there.
  defp checkout_to_write_in do
    directory = Path.join(System.tmp_dir!(), "caravan_document")
    File.rm_rf!(directory)
    File.mkdir!(directory)
    for file <- File.ls!(), do: :ok = File.ln_s(Path.expand(file), Path.join(directory, file))
    directory
  end

  defp shell(text) do
    case run("sh", ["-euc", "exec </dev/null; cd #{checkout_to_write_in()}\n" <> text], []) do
      {_, 0} -> :ok
      {output, status} -> {:error, "status #{status}: #{output}"}
    end
  end
end
