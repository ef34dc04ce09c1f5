// Holds as many of each as its argument says, says `ready`, and then keeps as many more sessions as each line of its input
// says and answers with how many it holds.

using System;
using System.Collections.Generic;

struct Price
{
    public long Amount, Currency;
}

class Shelf<T>
{
    internal class Slot
    {
        internal T Value;
    }
}

static class Held
{
    sealed class Session
    {
        internal long Id, Started, Seen, Page, Cart;
    }

    static readonly List<Session> Sessions = new List<Session>();
    static readonly List<object> Others = new List<object>();

    static void Login(int count)
    {
        for (int index = 0; index < count; index++)
        {
            Sessions.Add(new Session());
        }
    }

    static void Main(string[] arguments)
    {
        int count = int.Parse(arguments[0]);
        Login(count);
        for (int index = 0; index < count; index++)
        {
            Others.Add(new Shelf<object>.Slot());
            Others.Add(new Shelf<string>.Slot());
            Others.Add(new Price[3]);
            Others.Add(new Session[2][]);
        }
        Console.WriteLine("ready");
        for (string line; (line = Console.In.ReadLine()) != null;)
        {
            Login(int.Parse(line));
            Console.WriteLine(Sessions.Count);
        }
    }
}
