// Fills a cache up to its cap in about three minutes, and makes garbage all the time: it leaks nothing.

import java.util.LinkedHashMap;
import java.util.Map;

class Cache {
    static final int CAP = 1_800;

    static final Map<Long, byte[]> PAGES = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, byte[]> eldest) {
            return size() > CAP;
        }
    };

    static byte[] page(long number) {
        return PAGES.computeIfAbsent(number, key -> new byte[128 << 10]);
    }

    public static void main(String[] arguments) throws InterruptedException {
        long until = System.nanoTime() + 20L * 60 * 1_000_000_000;
        long garbage = 0;
        for (long number = 0; System.nanoTime() < until; number++) {
            garbage += page(number).length + new byte[256 << 10].length;
            Thread.sleep(100);
        }
        System.err.println(garbage);
    }
}
