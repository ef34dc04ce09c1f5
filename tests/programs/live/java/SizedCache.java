import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Grower: a cache that fills to 6,000 pages of 16 KiB, is read all the time, and then forgets who was not asked for longest. */
final class SizedCache {
    private static final int CAP = 6_000;

    private final Map<Integer, byte[]> pages = new LinkedHashMap<>(16, 0.75F, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, byte[]> eldest) {
            return size() > CAP;
        }
    };

    static byte[] renderPage(int product) {
        byte[] page = new byte[16 << 10];
        Arrays.fill(page, (byte) product);
        return page;
    }

    int page(int product) {
        return pages.computeIfAbsent(product, SizedCache::renderPage)[product % 1000];
    }

    public static void main(String[] arguments) {
        Steady load = Steady.fromCommandLine(arguments);
        SizedCache cache = new SizedCache();
        load.serve(request -> {
            cache.page(request);
            for (int i = 1; i <= 20; i++) {
                cache.page(request - Math.floorMod(request * 31 + i * 977, Math.min(request, CAP - 1) + 1));
            }
        });
    }
}
