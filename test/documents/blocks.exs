# The fenced blocks of the documents: which there are, and how each is tried. `scripts/check docs` runs it.
#
# A block is tried here, by its language, unless a comment on the line before it says otherwise:
#
#   <!-- run: FILE -->      the test FILE runs the block, or compares it with what it runs; FILE names the document
#   <!-- outside: WHY -->   the block needs what no test here has; WHY is printed
#   <!-- status: N -->      the commands end with this exit status
#   <!-- output -->         the block shows what something prints; so does each block of language `text`, unless its first line
#                           names a file (`# vm.args`)
#
# What test/packaging runs of a document by heading (`run_section FILE HEADING`) needs no comment.
Code.require_file("snippets.exs", __DIR__)

defmodule Caravan.Documents.Blocks do
  alias Caravan.Documents.Snippets

  @documents ~w(README.md SECURITY.md CONTRIBUTING.md docs/*.md examples/*/README.md)
  # Of the commands and snippets, at the most.
  @outside 0.2

  def main do
    sections = sections_that_are_run()

    blocks =
      for pattern <- @documents,
          file <- Enum.sort(Path.wildcard(pattern)),
          block <- blocks(file),
          not output?(block),
          do: Map.put(block, :how, how(block, sections))

    Snippets.start()
    results = Enum.map(blocks, &try_block/1)
    report(blocks, results)
  end

  # The lines of a document, as blocks.
  defp blocks(file) do
    file
    |> File.stream!()
    |> Stream.with_index(1)
    |> Enum.reduce(%{file: file, before: "", heading: [], open: nil, found: []}, &line/2)
    |> Map.fetch!(:found)
    |> Enum.reverse()
  end

  defp line({text, number}, %{open: nil} = state) do
    text = String.trim_trailing(text, "\n")

    case Regex.run(~r/^(\s*)```(\S*)$/, text) do
      [_, indent, language] ->
        block = %{
          file: state.file,
          line: number,
          language: language,
          heading: state.heading,
          mark: mark(state.before),
          indent: indent,
          lines: []
        }

        %{state | open: block}

      nil ->
        %{state | before: text, heading: heading(text, state.heading)}
    end
  end

  defp line({text, _number}, %{open: block} = state) do
    text = String.trim_trailing(text, "\n")

    if String.trim(text) == "```" do
      done = %{
        block
        | lines:
            block.lines
            |> Enum.reverse()
            |> Enum.map(&String.replace_prefix(&1, block.indent, ""))
      }

      %{state | open: nil, before: "", found: [done | state.found]}
    else
      %{state | open: %{block | lines: [text | block.lines]}}
    end
  end

  # The headings that the line stands below, the innermost first.
  defp heading(text, headings) do
    case Regex.run(~r/^(#+) /, text) do
      [_, marks] -> [text | Enum.drop_while(headings, &(level(&1) >= String.length(marks)))]
      nil -> headings
    end
  end

  defp level(heading), do: heading |> String.split(" ") |> hd() |> String.length()

  defp mark(line) do
    case Regex.run(~r/^\s*<!-- (run|outside|status|output)(?:: (.*))? -->$/, line) do
      [_, kind] -> {String.to_atom(kind), ""}
      [_, kind, text] -> {String.to_atom(kind), text}
      nil -> nil
    end
  end

  defp output?(%{mark: {:output, _}}), do: true

  defp output?(%{mark: nil, language: "text", lines: [first | _]}),
    do: not Regex.match?(~r/^(#|%%) [\w.\/]+$/, first)

  defp output?(_block), do: false

  # What shell tests run of documents: a section by its heading, and the examples as a whole.
  defp sections_that_are_run do
    for test <- Path.wildcard("test/packaging/*_test.sh"),
        [_, file, heading] <- Regex.scan(~r/run_section (\S+\.md) '([^']+)'/, File.read!(test)),
        into: MapSet.new(),
        do: {String.replace(file, ~r/^(\.\.\/)?caravan\//, ""), heading}
  end

  defp how(%{mark: {:run, test}} = block, _sections) do
    # A document of its directory alone is named by that.
    names = [Path.basename(block.file), Path.dirname(block.file)]

    if File.exists?(test) and Enum.any?(names, &String.contains?(File.read!(test), &1)),
      do: :elsewhere,
      else: {:wrong, "#{test} is no test of this document"}
  end

  defp how(%{mark: {:outside, why}}, _sections), do: {:outside, why}
  defp how(%{file: "examples/" <> _}, _sections), do: :elsewhere

  defp how(block, sections) do
    if Enum.any?(block.heading, &({block.file, &1} in sections)), do: :elsewhere, else: :here
  end

  defp try_block(%{how: :here} = block) do
    IO.puts("         #{place(block)}")
    expect_status(block.mark, Snippets.try(block.language, block.lines))
  rescue
    error -> {:error, Exception.format(:error, error, __STACKTRACE__)}
  catch
    kind, reason -> {:error, Exception.format(kind, reason, __STACKTRACE__)}
  end

  defp try_block(%{how: {:wrong, why}}), do: {:error, why}
  defp try_block(_block), do: :ok

  defp expect_status({:status, status}, {:error, "status " <> text} = error) do
    if String.starts_with?(text, status <> ":"), do: :ok, else: error
  end

  defp expect_status({:status, status}, :ok), do: {:error, "the exit status is not #{status}"}
  defp expect_status(_mark, result), do: result

  defp report(blocks, results) do
    outside = for %{how: {:outside, why}} = block <- blocks, do: {block, why}
    failed = for {block, {:error, why}} <- Enum.zip(blocks, results), do: {block, why}
    for {block, why} <- outside, do: IO.puts("outside  #{place(block)}: #{why}")
    for {block, why} <- failed, do: IO.puts("FAILED   #{place(block)}: #{why}")
    run = length(blocks) - length(outside) - length(failed)

    IO.puts(
      "blocks #{length(blocks)}, run #{run}, outside #{length(outside)}, failed #{length(failed)}"
    )

    too_many = length(outside) > @outside * length(blocks)
    if too_many, do: IO.puts("More than a fifth of the blocks are outside.")
    System.halt(if failed == [] and not too_many, do: 0, else: 1)
  end

  defp place(block), do: "#{block.file}:#{block.line}"
end

Caravan.Documents.Blocks.main()
