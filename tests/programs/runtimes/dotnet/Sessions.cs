// Keeps a session for each login; `fixed` forgets it at logout.

using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;

static class Sessions
{
    static readonly List<Session> Open = new List<Session>();

    sealed class Session
    {
        readonly long id;
        readonly long[] lastSeen = new long[4];
        long started, ended, visits, errors, bytesIn, bytesOut, page, cart, basket, total, tax, rebate, points, level;

        internal Session(long id)
        {
            this.id = id;
        }
    }

    static void Login(long id)
    {
        Open.Add(new Session(id));
    }

    static void Logout(bool leaky)
    {
        if (!leaky)
        {
            Open.RemoveAt(Open.Count - 1);
        }
    }

    static void Main(string[] arguments)
    {
        bool leaky = arguments[0] == "leaky";
        Stopwatch clock = Stopwatch.StartNew();
        for (long id = 0; clock.Elapsed.TotalMinutes < 20; id++)
        {
            Login(id);
            Logout(leaky);
            if (id % 500 == 499)
            {
                Thread.Sleep(100);
            }
        }
    }
}
