defmodule Caravan.PagesTest do
  use ExUnit.Case, async: true

  @extras Mix.Project.config()[:docs][:extras]

  test "each document is a page of hexdocs" do
    assert Path.wildcard("docs/*.md") -- @extras == []
  end

  test "each page of hexdocs is there" do
    assert Enum.reject(@extras, &File.exists?/1) == []
  end

  test "both build tools have the same pages" do
    {:ok, config} = :file.consult("rebar.config")
    {:ex_doc, options} = List.keyfind(config, :ex_doc, 0)
    assert Enum.map(options[:extras], &to_string/1) == @extras
  end
end
