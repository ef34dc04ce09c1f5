import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/**
 * Each request listens to a bus while it is served; five in a hundred fail.
 * leaky: who failed stays on the bus, with its page.
 */
final class Listeners {
    private record Listener(byte[] page) {}

    private final Set<Listener> bus = new HashSet<>();

    static Listener openPage(int request) {
        byte[] page = new byte[16 << 10];
        Arrays.fill(page, (byte) request);
        return new Listener(page);
    }

    int serve(int request, boolean fixed) {
        Listener listener = openPage(request);
        bus.add(listener);
        if (request % 20 == 0) {
            if (fixed) {
                bus.remove(listener);
            }
            return 0;
        }
        bus.remove(listener);
        return listener.page().length;
    }

    public static void main(String[] arguments) {
        Steady load = Steady.fromCommandLine(arguments);
        Listeners server = new Listeners();
        load.serve(request -> server.serve(request, load.fixed()));
    }
}
