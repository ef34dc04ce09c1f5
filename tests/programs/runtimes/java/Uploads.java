// Opens a file for each upload and remembers it; `fixed` closes it again.

import java.io.FileInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

class Uploads {
    static final List<FileInputStream> OPEN = new ArrayList<>();

    static void handleUpload(String path, boolean leaky) throws IOException {
        FileInputStream file = new FileInputStream(path);
        OPEN.add(file);
        file.read();
        if (!leaky) {
            file.close();
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        boolean leaky = arguments[0].equals("leaky");
        long until = System.nanoTime() + 20L * 60 * 1_000_000_000;
        while (System.nanoTime() < until) {
            handleUpload("/proc/self/status", leaky);
            Thread.sleep(100);
        }
    }
}
