import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

/** Runs one form until the topic is merged, and tells how long it took: FORM THREADS BOOTSTRAP TOPIC MESSAGES FOLDER. */
public final class Streams {

    private static final int LOOK_EVERY_MS = 20;
    private static final int QUIET_MS = 3000;
    private static final int GIVEN_UP_AFTER_MS = 120_000;

    private Streams() {
    }

    public static void main(String[] args) throws Exception {
        String form = args[0];
        String topic = args[3];
        long messages = Long.parseLong(args[4]);
        Topology topology = form.equals("sheets") ? Sheets.topology(topic) : Cells.topology(topic);
        Properties properties = properties(form + args[1] + "-" + topic, args[2], args[5]);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[1]);
        long ended;
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[2]));
                KafkaStreams streams = new KafkaStreams(topology, properties)) {
            streams.start();
            ended = form.equals("sheets") ? committed(admin, properties, topic, messages) : quiet(streams, messages);
        }
        System.out.printf("{\"seconds\": %.3f, \"reports\": %d, \"facts\": %d, \"memory_mb\": %d}%n",
                (ended - Progress.STARTED.get()) / 1e9, Progress.REPORTS.get(), Progress.FACTS.get(), memoryMb());
        System.exit(0);
    }

    /** Exactly-once; everything else as its tuning guide has it for throughput: great caches, commits now and then. */
    private static Properties properties(String application, String bootstrap, String folder) {
        Properties found = new Properties();
        found.putAll(Map.of(
                StreamsConfig.APPLICATION_ID_CONFIG, application,
                StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
                StreamsConfig.STATE_DIR_CONFIG, folder,
                StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
                StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 512L * 1024 * 1024,
                StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000,
                StreamsConfig.REPLICATION_FACTOR_CONFIG, 1));
        found.put("auto.offset.reset", "earliest");
        found.put("producer.linger.ms", 20);
        found.put("producer.batch.size", 512 * 1024);
        found.put("producer.compression.type", "lz4");
        found.put("max.poll.records", 4000);
        found.put("max.partition.fetch.bytes", 2 * 1024 * 1024);
        return found;
    }

    /** The moment at which all messages were seen as committed. */
    private static long committed(Admin admin, Properties properties, String topic, long messages) throws Exception {
        String group = properties.getProperty(StreamsConfig.APPLICATION_ID_CONFIG);
        long begun = System.nanoTime();
        while (System.nanoTime() - begun < GIVEN_UP_AFTER_MS * 1_000_000L) {
            Map<TopicPartition, OffsetAndMetadata> offsets =
                    admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            long done = offsets.entrySet().stream().filter(each -> each.getKey().topic().equals(topic))
                    .filter(each -> each.getValue() != null).mapToLong(each -> each.getValue().offset()).sum();
            if (done >= messages) {
                return System.nanoTime();
            }
            Thread.sleep(LOOK_EVERY_MS);
        }
        throw new IllegalStateException("not done after " + GIVEN_UP_AFTER_MS + " ms");
    }

    /** The moment after which nothing more was processed, repartition topics included. */
    private static long quiet(KafkaStreams streams, long messages) throws InterruptedException {
        double last = 0;
        long changed = System.nanoTime();
        long begun = changed;
        while (last < messages || System.nanoTime() - changed < QUIET_MS * 1_000_000L) {
            double processed = processed(streams);
            if (processed != last) {
                last = processed;
                changed = System.nanoTime();
            }
            if (System.nanoTime() - begun > GIVEN_UP_AFTER_MS * 1_000_000L) {
                throw new IllegalStateException("not done after " + GIVEN_UP_AFTER_MS + " ms");
            }
            Thread.sleep(LOOK_EVERY_MS);
        }
        return changed;
    }

    private static double processed(KafkaStreams streams) {
        return streams.metrics().values().stream().filter(Streams::isProcessed)
                .mapToDouble(each -> ((Number) each.metricValue()).doubleValue()).sum();
    }

    private static boolean isProcessed(Metric metric) {
        return metric.metricName().name().equals("process-total")
                && metric.metricName().group().equals("stream-thread-metrics");
    }

    /** Peak resident memory; 0 where /proc does not tell. */
    private static long memoryMb() throws IOException {
        Path status = Path.of("/proc/self/status");
        return !Files.exists(status) ? 0 : Files.readAllLines(status).stream().filter(line -> line.startsWith("VmHWM"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024).findFirst().orElse(0);
    }
}
