import java.util.concurrent.atomic.AtomicLong;

/** How much was seen, and since when. */
final class Progress {

    static final AtomicLong STARTED = new AtomicLong();
    static final AtomicLong REPORTS = new AtomicLong();
    static final AtomicLong FACTS = new AtomicLong();

    private Progress() {
    }

    static void count(Message message) {
        STARTED.compareAndSet(0, System.nanoTime());
        REPORTS.addAndGet(message.reports().size());
        long facts = 0;
        for (Message.Report report : message.reports()) {
            facts += report.cells().length;
        }
        FACTS.addAndGet(facts);
    }
}
