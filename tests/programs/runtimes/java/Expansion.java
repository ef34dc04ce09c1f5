// Makes garbage and keeps the same number of orders all the time. The heap expands to its natural size, several times what is
// kept, before collections keep up with it: nothing leaks.

import java.util.ArrayDeque;

class Expansion {
    static final int KEPT = 20_000;
    static final int A_TICK = 200;

    static final class Order {
        final byte[] text = new byte[2_000];
        final long number;

        Order(long number) {
            this.number = number;
        }
    }

    static int answer(Order order) {
        return new StringBuilder().append(new char[20_000]).append(order.number).length();
    }

    public static void main(String[] arguments) throws InterruptedException {
        ArrayDeque<Order> orders = new ArrayDeque<>();
        long until = System.nanoTime() + 20L * 60 * 1_000_000_000;
        long answered = 0;
        for (long number = 0; System.nanoTime() < until; number++) {
            Order order = new Order(number);
            orders.add(order);
            if (orders.size() > KEPT) {
                orders.remove();
            }
            answered += answer(order);
            if (number % A_TICK == A_TICK - 1) {
                Thread.sleep(200);
            }
        }
        System.err.println(answered);
    }
}
