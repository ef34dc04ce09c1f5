import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/** usage: PROGRAM leaky|fixed SECONDS RATE: a steady load of RATE requests a second, and the end after SECONDS. */
record Steady(boolean fixed, int seconds, int rate) {
    static Steady fromCommandLine(String[] arguments) {
        if (arguments.length != 3) {
            System.err.println("usage: PROGRAM leaky|fixed SECONDS RATE");
            System.exit(2);
        }
        return new Steady(
            arguments[0].equals("fixed"), Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
    }

    /** Serves one request after the other, each when its turn comes; then ends the program, whatever still waits in it. */
    void serve(IntConsumer request) {
        long start = System.nanoTime();
        long period = TimeUnit.SECONDS.toNanos(1) / rate;
        for (int i = 0; i < seconds * rate; i++) {
            for (long left; (left = start + period * i - System.nanoTime()) > 0; ) {
                LockSupport.parkNanos(left);
            }
            request.accept(i);
        }
        System.exit(0);
    }
}
