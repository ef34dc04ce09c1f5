// Holds as many of each as its argument says, and says `ready` when a collection has left nothing else.

using System;
using System.Collections.Generic;
using System.Threading;

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

static class Census
{
    sealed class Order
    {
        internal long Id;
        internal Order Next;
    }

    static readonly List<object> Held = new List<object>();

    static void Main(string[] arguments)
    {
        int count = int.Parse(arguments[0]);
        for (int index = 0; index < count; index++)
        {
            Held.Add(new Order());
            Held.Add(new Shelf<Price>.Slot());
            Held.Add(new Shelf<string>.Slot());
            Held.Add(new List<Price>());
            Held.Add(new Price[3]);
            Held.Add(new Order[2][]);
        }
        GC.Collect();
        GC.Collect();
        Console.WriteLine("ready");
        Console.In.ReadLine();
    }
}
