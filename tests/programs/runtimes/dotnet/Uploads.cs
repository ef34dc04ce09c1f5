// Opens a file for each upload and remembers it; `fixed` closes it again.

using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;

static class Uploads
{
    static readonly List<FileStream> Open = new List<FileStream>();

    static void HandleUpload(string path, bool leaky)
    {
        FileStream file = File.OpenRead(path);
        file.ReadByte();
        if (leaky)
        {
            Open.Add(file);
        }
        else
        {
            file.Dispose();
        }
    }

    static void Main(string[] arguments)
    {
        bool leaky = arguments[0] == "leaky";
        Stopwatch clock = Stopwatch.StartNew();
        while (clock.Elapsed.TotalMinutes < 20)
        {
            HandleUpload("/proc/self/status", leaky);
            Thread.Sleep(100);
        }
    }
}
