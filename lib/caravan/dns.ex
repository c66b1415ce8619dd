defmodule Caravan.DNS do
  @moduledoc """
  DNS lookups that block no scheduler: a thread asks the nameservers through c-ares, and the answer comes
  as a message.

  ## Options

    * `:nameservers` - where to ask, a list of `"127.0.0.1:8600"` or `"[::1]:53"`, or `:system`, those of
      `resolv.conf` with its search list. Default: the key `:nameservers` of the `:caravan` application, which
      is `:system` by default.
    * `:timeout` - milliseconds for the whole lookup, 1 to 3,600,000. Default: 5000.
    * `:transport` - `:udp` (TCP when the answer is truncated), `:tcp`, or `:auto`, the default: for SRV records
      TCP first, and UDP when TCP cannot be had; for addresses as `:udp`.

  ## Answers

  A map of `:records`, `:addresses` (of the targets of SRV records, as far as the nameserver sent them along),
  `:ttl` (seconds, the least one) and `:complete` (whether all records are known to be here, which only TCP can
  promise).

  ## Errors

  `:nxdomain` and `:nodata` are a nameserver's word that there is no such name or record. With `:servfail`,
  `:refused`, `:formerr`, `:notimp`, `:timeout`, `:connrefused`, `:badresp`, `:badname`, `:closed`, `:overload`
  and `:system` nobody could be asked. `{:bad_option, key, value, allowed}` names an argument that is not allowed.
  """

  @type name :: String.t() | charlist()
  @type type :: :srv | :a | :aaaa
  @type answer :: :caravan_dns.answer()
  @type reason :: :caravan_dns.reason() | :caravan_option.error()

  @doc """
  Looks up the records of a name and waits for them.

  ## Examples

      iex> Caravan.DNS.lookup("no name", :srv)
      {:error, :badname}

      Caravan.DNS.lookup("app.service.consul", :srv, nameservers: ["127.0.0.1:8600"])
      #=> {:ok, %{records: [%{port: 4370, target: "7f000001.addr.dc1.consul", ...}], complete: true, ...}}

  """
  @spec lookup(name(), type(), keyword() | map()) :: {:ok, answer()} | {:error, reason()}
  def lookup(name, type, options \\ []), do: :caravan_dns.lookup(name, type, options)

  @doc """
  Looks up the records of a name; the caller gets `{:caravan_dns, ref, {:ok, answer} | {:error, reason}}` once,
  within the timeout.

  ## Examples

      iex> ref = Caravan.DNS.lookup_async("no name", :a)
      iex> receive do: ({:caravan_dns, ^ref, result} -> result)
      {:error, :badname}

  """
  @spec lookup_async(name(), type(), keyword() | map()) :: reference()
  def lookup_async(name, type, options \\ []), do: :caravan_dns.lookup_async(name, type, options)

  @doc """
  Gives a lookup up. To be called by the process that started it, which gets no message of it after this.

  ## Examples

      iex> Caravan.DNS.cancel(Caravan.DNS.lookup_async("no name", :a))
      :ok

  """
  @spec cancel(reference()) :: :ok
  defdelegate cancel(ref), to: :caravan_dns
end
