"""What the page and the brochure say around a report, in three languages. Data."""

from enum import StrEnum

from app.workflow.citizens.texts import Text


class Word(StrEnum):
    """A place on the page."""

    TITLE = "title"
    INTRO = "intro"
    TICKET = "ticket"
    TICKET_HINT = "ticket_hint"
    PIN = "pin"
    PIN_HINT = "pin_hint"
    LOOK = "look"
    WRONG = "wrong"
    NOT_ARRIVED = "not_arrived"
    WAIT = "wait"
    REFUSED = "refused"
    STEP = "step"
    SINCE = "since"
    PROMISED = "promised"
    LATE = "late"
    WAITS_FOR = "waits_for"
    MISSING = "missing"
    OUTCOME = "outcome"
    ANSWER = "answer"
    HISTORY = "history"
    PIN_AGAIN = "pin_again"
    WITHDRAW = "withdraw"
    WHY = "why"
    REOPEN = "reopen"
    RATE = "rate"
    RATE_HINT = "rate_hint"
    SEND = "send"
    DONE = "done"
    OTHER = "other"
    LANGUAGE = "language"


WORDS: dict[Word, Text] = {
    Word.TITLE: Text("Cek laporan SLRT", "Mriksani laporan SLRT", "Check an SLRT report"),
    Word.INTRO: Text(
        "Masukkan nomor tiket dan PIN dari tanda terima Anda.",
        "Lebetaken nomer tiket lan PIN saking tandha tampi panjenengan.",
        "Enter the ticket number and the PIN of your receipt.",
    ),
    Word.TICKET: Text("Nomor tiket", "Nomer tiket", "Ticket number"),
    Word.TICKET_HINT: Text(
        "Contoh: 3576-2026-000123-7", "Tuladha: 3576-2026-000123-7", "Such as 3576-2026-000123-7"
    ),
    Word.PIN: Text("PIN", "PIN", "PIN"),
    Word.PIN_HINT: Text(
        "Enam angka. Jangan berikan kepada siapa pun.",
        "Enem angka. Sampun dipunparingaken dhateng sinten kemawon.",
        "Six digits. Give them to nobody.",
    ),
    Word.LOOK: Text("Lihat", "Pirsani", "Show"),
    Word.WRONG: Text(
        "Nomor tiket atau PIN salah. Periksa keduanya. PIN baru bisa diminta di kantor"
        " dengan membawa dokumen.",
        "Nomer tiket utawi PIN lepat. Mugi dipunpriksa kalih-kalihipun. PIN enggal saged"
        " dipunsuwun ing kantor kanthi mbekta dokumen.",
        "The ticket number or the PIN is wrong. Check both. The office gives a new PIN"
        " against documents.",
    ),
    Word.NOT_ARRIVED: Text(
        "Nomor Anda benar, tetapi laporannya belum masuk. Petugas dan pengawasnya diberi tahu."
        " Coba lagi besok, atau datang ke kantor.",
        "Nomeripun leres, ananging laporanipun dereng mlebet. Petugas lan pengawasipun sampun"
        " dipunparingi pirsa. Mangga dipuncobi malih mbenjing, utawi rawuh ing kantor.",
        "Your number is right, but the report has not come in. The officer and the supervisor are"
        " told. Try again tomorrow, or come to the office.",
    ),
    Word.WAIT: Text(
        "Terlalu sering salah. Coba lagi setelah {seconds} detik.",
        "Kekathahen lepatipun. Mugi dipuncobi malih sasampunipun {seconds} detik.",
        "Wrong too often. Try again in {seconds} seconds.",
    ),
    Word.REFUSED: Text(
        "Tidak bisa dilakukan sekarang. Tidak ada yang berubah.",
        "Boten saged dipuntindakaken sapunika. Boten wonten ingkang ewah.",
        "This is not possible now. Nothing has changed.",
    ),
    Word.STEP: Text("Keadaan sekarang", "Kawontenan sapunika", "How it stands"),
    Word.SINCE: Text("Sejak", "Wiwit", "Since"),
    Word.PROMISED: Text("Dijanjikan paling lambat", "Dipunjanjekaken paling dangu", "Promised by"),
    Word.LATE: Text(
        "Janji ini sudah lewat. Pimpinan SLRT sudah diberi tahu.",
        "Janji punika sampun kliwat. Pimpinan SLRT sampun dipunaturi pirsa.",
        "This promise was not kept. The SLRT management has been told.",
    ),
    Word.WAITS_FOR: Text("Menunggu", "Ngentosi", "Waits for"),
    Word.MISSING: Text("Dokumen yang kurang", "Dokumen ingkang kirang", "Missing documents"),
    Word.OUTCOME: Text("Hasil", "Asil", "Result"),
    Word.ANSWER: Text("Jawaban kantor", "Wangsulan kantor", "Answer of the office"),
    Word.HISTORY: Text("Riwayat", "Lelampahan", "History"),
    Word.PIN_AGAIN: Text("PIN sekali lagi", "PIN sepisan malih", "PIN once more"),
    Word.WITHDRAW: Text("Tarik laporan", "Narik laporan", "Withdraw the report"),
    Word.WHY: Text("Mengapa?", "Kenging menapa?", "Why?"),
    Word.REOPEN: Text(
        "Buka lagi laporan ini", "Bikak malih laporan punika", "Open this report again"
    ),
    Word.RATE: Text("Nilai jawaban", "Paring biji wangsulan", "Rate the answer"),
    Word.RATE_HINT: Text(
        "1 = sangat kurang, 5 = sangat baik",
        "1 = kirang sanget, 5 = sae sanget",
        "1 = very poor, 5 = very good",
    ),
    Word.SEND: Text("Kirim", "Kintun", "Send"),
    Word.DONE: Text("Sudah dicatat.", "Sampun kacathet.", "It is recorded."),
    Word.OTHER: Text("Cek laporan lain", "Mriksani laporan sanes", "Check another report"),
    Word.LANGUAGE: Text("Bahasa", "Basa", "Language"),
}
