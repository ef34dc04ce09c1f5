import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Builds each report on an executor of its own; five in a hundred are cancelled.
 * leaky: the executor of a cancelled report is not shut down, and its thread waits for more work.
 */
final class Reports {
    static int build(int report, boolean fixed) {
        ExecutorService executor = Executors.newFixedThreadPool(1);
        var pages = executor.submit(() -> report % 7);
        if (report % 20 == 0) {
            if (fixed) {
                executor.shutdown();
            }
            return 0;
        }
        executor.shutdown();
        try {
            return pages.get();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    public static void main(String[] arguments) {
        Steady load = Steady.fromCommandLine(arguments);
        load.serve(report -> build(report, load.fixed()));
    }
}
