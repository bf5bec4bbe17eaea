import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * As the documentation leads one to write it: a stream of cells, the last state of each as a table, and from it the tables of
 * months and school years. A cell's key holds its period, so it travels through repartition topics.
 */
final class Cells {

    private static final Serde<String> TEXT = Serdes.String();
    private static final Serde<Long> COUNT = Serdes.Long();

    private Cells() {
    }

    static Topology topology(String topic) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, byte[]> reported = builder.stream(topic, Consumed.with(TEXT, Serdes.ByteArray()));
        KTable<String, Long> states = reported.flatMap((uai, value) -> cells(value))
                .groupByKey(Grouped.with(TEXT, COUNT))
                .reduce(Math::max, Materialized.with(TEXT, COUNT));
        KTable<String, Long> months = wider(states.filter((key, count) -> isFolded(key)), Cells::month);
        wider(months, Cells::schoolYear);
        return builder.build();
    }

    private static KTable<String, Long> wider(KTable<String, Long> table, java.util.function.UnaryOperator<String> window) {
        return table.groupBy((key, count) -> KeyValue.pair(window.apply(key), count), Grouped.with(TEXT, COUNT))
                .reduce(Long::sum, (total, gone) -> total - gone, Materialized.with(TEXT, COUNT));
    }

    private static List<KeyValue<String, Long>> cells(byte[] value) {
        Message message = Message.read(value);
        Progress.count(message);
        List<KeyValue<String, Long>> found = new ArrayList<>();
        for (Message.Report report : message.reports()) {
            String key = message.uai() + '|' + (report.isFolded() ? "folded" : report.family()) + '|'
                    + report.grain() + '|' + report.start() + '|';
            for (int i = 0; i < report.cells().length; i++) {
                found.add(KeyValue.pair(key + report.cells()[i], report.counts()[i]));
            }
        }
        return found;
    }

    private static boolean isFolded(String key) {
        return key.contains("|folded|");
    }

    private static String month(String key) {
        String[] parts = key.split("\\|");
        return parts[0] + "|folded|month|" + parts[3].substring(0, 7) + "-01|" + parts[4];
    }

    private static String schoolYear(String key) {
        String[] parts = key.split("\\|");
        int year = Integer.parseInt(parts[3].substring(0, 4));
        boolean begun = Integer.parseInt(parts[3].substring(5, 7)) >= 9;
        return parts[0] + "|folded|school_year|" + (begun ? year : year - 1) + "-09-01|" + parts[4];
    }
}
