// Renders each report on a thread pool of its own; `fixed` shuts it down.

import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

class Reports {
    static int render(int report, boolean leaky) throws InterruptedException, ExecutionException {
        ExecutorService pool = Executors.newFixedThreadPool(1);
        int pages = pool.submit(() -> report % 7).get();
        if (!leaky) {
            pool.shutdown();
        }
        return pages;
    }

    public static void main(String[] arguments) throws InterruptedException, ExecutionException {
        boolean leaky = arguments[0].equals("leaky");
        long until = System.nanoTime() + 20L * 60 * 1_000_000_000;
        for (int report = 0; System.nanoTime() < until; report++) {
            render(report, leaky);
            Thread.sleep(200);
        }
    }
}
