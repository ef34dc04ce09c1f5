import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.HashSet;
import java.util.Set;

/**
 * Borrows a connection for each request and gives it back by closing it; five requests in a hundred are refused.
 * leaky: the connection of a refused one stays among the borrowed, after the server has hung up.
 */
final class BorrowedSockets {
    private static final int REFUSED = 255;

    private final Set<Socket> borrowed = new HashSet<>();

    private static void answer(ServerSocket server) {
        while (true) {
            try (Socket client = server.accept()) {
                client.getOutputStream().write(client.getInputStream().read() % 20 == 0 ? REFUSED : 42);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private Socket borrow(ServerSocket server) throws IOException {
        Socket connection = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort());
        borrowed.add(connection);
        return connection;
    }

    private void giveBack(Socket connection) throws IOException {
        connection.close();
        borrowed.remove(connection);
    }

    int ask(ServerSocket server, int request, boolean fixed) {
        try {
            Socket connection = borrow(server);
            connection.getOutputStream().write(request % 100);
            int answer = connection.getInputStream().read();
            if (answer == REFUSED) {
                if (fixed) {
                    giveBack(connection);
                }
                return 0;
            }
            giveBack(connection);
            return answer;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    public static void main(String[] arguments) throws IOException {
        Steady load = Steady.fromCommandLine(arguments);
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread thread = new Thread(() -> answer(server));
        thread.setDaemon(true);
        thread.start();
        BorrowedSockets client = new BorrowedSockets();
        load.serve(request -> client.ask(server, request, load.fixed()));
    }
}
