// Fills its heap with a known number of objects and then keeps still; each line that it reads asks for a second of requests,
// whose number and 99th percentile it prints.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

class Census {
    static final Map<Integer, Order> ORDERS = new HashMap<>();
    static final int[][] TABLES = new int[200][];
    static final byte[][] SCANS = new byte[8][];

    static final class Order {
        final long number;
        final byte[] text = new byte[100];
        Order previous;

        Order(long number, Order previous) {
            this.number = number;
            this.previous = previous;
        }
    }

    static long request(int number) {
        long sum = 0;
        for (int index = 0; index < 200; index++) {
            sum += ORDERS.get((number * 31 + index * 977) % ORDERS.size()).number;
        }
        return sum;
    }

    static String latency() {
        long[] took = new long[2_000_000];
        int requests = 0;
        long sum = 0;
        long until = System.nanoTime() + 1_000_000_000L;
        for (long now = System.nanoTime(); now < until && requests < took.length; requests++) {
            sum += request(requests);
            long after = System.nanoTime();
            took[requests] = after - now;
            now = after;
        }
        Arrays.sort(took, 0, requests);
        return "{\"requests\": " + requests + ", \"p99_ns\": " + took[requests * 99 / 100] + ", \"sum\": " + sum + "}";
    }

    public static void main(String[] arguments) throws IOException {
        int orders = Integer.parseInt(arguments[0]);
        Order previous = null;
        for (int number = 0; number < orders; number++) {
            previous = new Order(number, previous);
            ORDERS.put(number, previous);
        }
        Arrays.setAll(TABLES, index -> new int[500 + index]);
        Arrays.setAll(SCANS, index -> new byte[3 << 20]);
        latency();
        System.gc();
        System.out.println("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        while (input.readLine() != null) {
            System.out.println(latency());
        }
    }
}
