// Keeps a session for each login; `fixed` forgets it at logout.

import java.util.HashMap;
import java.util.Map;

class Sessions {
    static final Map<Long, Session> SESSIONS = new HashMap<>();

    static final class Session {
        final long id;
        final long[] lastSeen = new long[4];
        long started, ended, visits, errors, bytesIn, bytesOut, page, cart, basket, total, tax, rebate, points, level;

        Session(long id) {
            this.id = id;
        }
    }

    static void login(long id) {
        SESSIONS.put(id, new Session(id));
    }

    static void logout(long id, boolean leaky) {
        if (!leaky) {
            SESSIONS.remove(id);
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        boolean leaky = arguments[0].equals("leaky");
        long until = System.nanoTime() + 20L * 60 * 1_000_000_000;
        for (long id = 0; System.nanoTime() < until; id++) {
            login(id);
            logout(id, leaky);
            if (id % 500 == 499) {
                Thread.sleep(100);
            }
        }
    }
}
