defmodule Caravan.DNS do
  @moduledoc """
  DNS lookups that block no scheduler: a thread asks the nameservers through c-ares, and the answer comes
  as a message.

  ## Lookups

  `lookup/3` and `lookup_async/3` ask for the records of a name of the type `:srv`, `:a` or `:aaaa`, or for its
  `:addresses`: A and AAAA records together, or those of one family, then not `complete`, if 0.8 seconds later the
  other one is not answered. IP addresses and names in the hosts file need no nameserver.

  Their options, a keyword list or a map; what is missing or `:default` is the resolver's:

    * `:resolver` - what `open/1` gave. Default: the default resolver, which the keys `:nameservers` and
      `:resolver` (options of `open/1`) of the `:caravan` application describe.
    * `:nameservers`, `:timeout`, `:transport`, `:srv_order` - as in `open/1`.

  Equal lookups that are under way in a resolver are asked once.

  ## Answers

  A map of `:records`, `:addresses` (of the targets of SRV records, as far as the nameserver sent them along),
  `:address_ttls` (of SRV records alone: for each of these targets the least TTL of its addresses), `:ttl` (seconds,
  the least one of the records) and `:complete` (whether all records are known to be here, which only TCP can promise,
  and only for fewer than 1024 SRV records and less than 65,000 octets).

  ## Errors

  With the first two, a nameserver says that there are no such records. All others mean that no nameserver could be
  asked, and say nothing about the name. `format_error/1` puts them into words.

  | Error | Meaning |
  | --- | --- |
  | `:nxdomain` | there is no such name |
  | `:nodata` | the name has no such records |
  | `:servfail`, `:refused`, `:formerr`, `:notimp` | what the nameservers answered |
  | `:timeout` | no nameserver answered in time |
  | `:connrefused` | nothing listens at the nameservers' addresses |
  | `:badresp` | the reply is malformed |
  | `:badname` | no DNS name |
  | `:closed` | the resolver is closed |
  | `:overload` | `:max_queue` lookups are waiting already |
  | `:system` | no memory, descriptors or threads are left |
  | `{:bad_option, key, value, allowed}` | an argument is not allowed |
  """

  @type name :: String.t() | charlist()
  @type type :: :srv | :a | :aaaa | :addresses
  @type resolver :: :caravan_dns.resolver()
  @type answer :: :caravan_dns.answer()
  @type stats :: :caravan_dns.stats()
  @type reason :: :caravan_dns.reason() | :caravan_option.error()

  @doc """
  Looks up the records of a name and waits for them, for the timeout at the longest.

  ## Examples

      iex> Caravan.DNS.lookup("no name", :srv)
      {:error, :badname}

      iex> {:ok, %{records: records}} = Caravan.DNS.lookup("127.0.0.1", :addresses)
      iex> records
      [%{address: {127, 0, 0, 1}, ttl: 0}]

      Caravan.DNS.lookup("app.service.consul", :srv, nameservers: ["127.0.0.1:8600"])
      #=> {:ok, %{records: [%{port: 4370, target: "7f000001.addr.dc1.consul", ...}], complete: true, ...}}

  """
  @spec lookup(name(), type(), keyword() | map()) :: {:ok, answer()} | {:error, reason()}
  def lookup(name, type, options \\ []), do: :caravan_dns.lookup(name, type, options)

  @doc """
  Looks up the records of a name; the caller gets `{:caravan_dns, ref, {:ok, answer} | {:error, reason}}` once,
  within the timeout. Every error comes that way, those of the arguments too.

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

  @doc """
  Makes a resolver. One that nobody refers to any more goes by itself; what was asked through it is answered
  still.

  Options, a keyword list or a map:

    * `:nameservers` - where to ask, 1 to 16 of `"127.0.0.1:8600"` or `"[::1]:53"`, or `:system`, the first
      16 of `resolv.conf`. A link-local address has its interface: `"fe80::1%eth0"`. Default: the key `:nameservers` of
      the `:caravan` application, which is `:system` by default.
    * `:timeout` - milliseconds for a whole lookup, 1 to 3,600,000. Default: 5000.
    * `:tries` - how often each nameserver is asked over a transport, 1 to 10. Default: 3. Over TCP it is
      twice at the most where UDP comes after or before it. A lookup that has had nothing but silence then asks once more
      now and then: an eighth of its timeout, and as long as an attempt at least, after the one before was given up.
    * `:rotate` - whether every lookup begins with another nameserver instead of the first. Default: `false`.
    * `:transport` - `:udp` (TCP when the reply is truncated), `:tcp`, or `:auto`, the default: for SRV records
      TCP first, and UDP when TCP cannot be had; for addresses as `:udp`.
    * `:edns_size` - the largest reply that may come over UDP, in octets: 512 to 4096, or 0 for no EDNS.
      Default: 4096.
    * `:mixed_case` - whether the letters of questions over UDP are upper or lower case at random, which a reply must
      repeat: one that is forged is harder to guess. A nameserver that does not is asked over TCP. Default: `false`.
    * `:search` - whether the search list of `resolv.conf` applies to names without a dot at the end.
      Default: when the system's nameservers are asked.
    * `:hosts_file` - where `:addresses` are looked for first, or `:none`. Default: `"/etc/hosts"`.
    * `:max_inflight` - lookups in flight at a time, for each nameserver and transport, 1 to 4096. Default: 128. The others
      wait in order. To one nameserver all resolvers together have about 4,000 over UDP, and 32 over TCP, where they share
      a connection: 64 where a round trip takes 50 ms, 512 where it takes 400 ms or more. They take turns.
    * `:max_queue` - lookups that may be open beyond `:max_inflight`, 0 to 1,000,000. Default: 100,000. More are
      refused with `:overload`. All count, whichever nameserver they are for.
    * `:srv_order` - whether SRV records come in the order in which RFC 2782 wants them tried. Default: `false`, as
      the nameserver sent them.
    * `:cache` - whether answers are remembered for their TTL, or the limits of that: `:max_entries` (1 to
      1,000,000; 1000), `:max_ttl` and `:max_negative_ttl` (seconds; 3600 and 60). Default: `false`.

  ## Examples

      iex> {:ok, resolver} = Caravan.DNS.open(nameservers: ["127.0.0.1:8600"], timeout: 500, cache: true)
      iex> Caravan.DNS.lookup("no name", :srv, resolver: resolver)
      {:error, :badname}

      iex> Caravan.DNS.open(timeout: 0)
      {:error, {:bad_option, :timeout, 0, ~c"an integer from 1 to 3600000"}}

  """
  @spec open(keyword() | map()) :: {:ok, resolver()} | {:error, reason()}
  defdelegate open(options), to: :caravan_dns

  @doc """
  Closes a resolver: its open lookups end with `:closed`, and so do those that come after. Closing it again does
  nothing.

  ## Examples

      iex> {:ok, resolver} = Caravan.DNS.open([])
      iex> Caravan.DNS.close(resolver)
      :ok
      iex> Caravan.DNS.lookup("localhost", :a, resolver: resolver)
      {:error, :closed}

  """
  @spec close(resolver()) :: :ok | {:error, reason()}
  defdelegate close(resolver), to: :caravan_dns

  @doc """
  As `stats/1`, for the default resolver.

  ## Examples

      iex> {:ok, stats} = Caravan.DNS.stats()
      iex> is_integer(stats.queries)
      true

  """
  @spec stats() :: {:ok, stats()} | {:error, reason()}
  defdelegate stats(), to: :caravan_dns

  @doc """
  What a resolver has done since it was opened; see `t::caravan_dns.stats/0`. The numbers are read while they are
  written: they may differ by what is under way.

  ## Examples

      iex> {:ok, resolver} = Caravan.DNS.open([])
      iex> {:ok, stats} = Caravan.DNS.stats(resolver)
      iex> {stats.queries, stats.outcomes.timeout}
      {0, 0}

  """
  @spec stats(resolver()) :: {:ok, stats()} | {:error, reason()}
  defdelegate stats(resolver), to: :caravan_dns

  @doc """
  The text of an error, in one line.

  ## Examples

      iex> {:error, error} = Caravan.DNS.open(timeout: 0)
      iex> Caravan.DNS.format_error(error)
      "caravan: option timeout is 0; allowed: an integer from 1 to 3600000"

      iex> Caravan.DNS.format_error(:timeout)
      "caravan: the lookup failed: timeout"

  """
  @spec format_error(reason()) :: String.t()
  def format_error(error), do: List.to_string(:caravan_dns.format_error(error))
end
