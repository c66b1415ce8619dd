# For ExUnit.CaptureLog only.
{:ok, _} = Application.ensure_all_started(:logger)

ExUnit.start()
