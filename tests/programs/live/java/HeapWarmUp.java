import java.util.Arrays;

/** Grower: the heap expands to its natural size: 48 MiB that stay are filled in forty seconds, under a load of garbage. */
final class HeapWarmUp {
    private static final int SECONDS = 40;
    private static final byte[][] KEPT = new byte[48 << 4][];

    static byte[] renderPage(int request) {
        byte[] page = new byte[64 << 10];
        Arrays.fill(page, (byte) request);
        return page;
    }

    public static void main(String[] arguments) {
        Steady load = Steady.fromCommandLine(arguments);
        int warm = SECONDS * load.rate();
        load.serve(request -> {
            byte[] page = renderPage(request);
            if (request < warm) {
                KEPT[(int) ((long) request * KEPT.length / warm)] = page;
            }
        });
    }
}
