// Renders each report on a thread of its own, which then waits for the next; `fixed` lets it end.

using System.Diagnostics;
using System.Threading;

static class Workers
{
    static void Render(long report, bool leaky)
    {
        ManualResetEvent next = new ManualResetEvent(!leaky);
        Thread worker = new Thread(() =>
        {
            Pages(report);
            next.WaitOne();
        });
        worker.Name = "report-" + report;
        worker.IsBackground = true;
        worker.Start();
    }

    static long Pages(long report)
    {
        return report % 7;
    }

    static void Main(string[] arguments)
    {
        bool leaky = arguments[0] == "leaky";
        Stopwatch clock = Stopwatch.StartNew();
        for (long report = 0; clock.Elapsed.TotalMinutes < 20; report++)
        {
            Render(report, leaky);
            Thread.Sleep(200);
        }
    }
}
