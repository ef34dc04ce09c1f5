// Takes orders; `leaky` keeps what was answered, in a list that nobody reads.
using System;
using System.Collections.Generic;
using System.Threading;

namespace Shop
{
    sealed class Order
    {
        readonly byte[] text = new byte[2000];
        public int Size { get { return text.Length; } }
    }

    static class Orders
    {
        static readonly List<Order> Answered = new List<Order>();

        static void Answer(Order order, bool leaky)
        {
            if (leaky)
                Answered.Add(order);
        }

        static void Main(string[] args)
        {
            bool leaky = args.Length > 0 && args[0] == "leaky";
            for (int n = 0; n < 20 * 60 * 400; n++)
            {
                Answer(new Order(), leaky);
                if (n % 2 == 0)
                    Thread.Sleep(5);
            }
        }
    }
}
