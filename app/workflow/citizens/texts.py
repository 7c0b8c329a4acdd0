"""What citizens read, in plain Indonesian, Javanese (krama) and English. Data, whole by a test."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.actors import Role
from app.domain.complaints import ComplaintState
from app.domain.vocabulary import Category, Document, Kind, Outcome
from app.workflow.complaints.commands import ComplaintAction

S, A, R, D, G = ComplaintState, ComplaintAction, Role, Document, Category


class Language(StrEnum):
    INDONESIAN = "id"
    JAVANESE = "jv"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in the three languages."""

    id: str
    jv: str
    en: str

    def put(self, **words: str) -> "Text":
        """The sentence with its {…} filled."""
        return Text(self.id.format(**words), self.jv.format(**words), self.en.format(**words))

    def in_(self, language: Language) -> str:
        said: str = getattr(self, language)
        return said


# Where a report stands.
STEPS: dict[ComplaintState, Text] = {
    S.RECEIVED: Text(
        "Laporan Anda sudah diterima. Kantor sedang memeriksa dokumen dan data.",
        "Laporan panjenengan sampun dipuntampi. Kantor nembe mriksani dokumen lan data.",
        "Your report has been received. The office is checking documents and data.",
    ),
    S.INCOMPLETE: Text(
        "Laporan Anda menunggu dokumen yang belum lengkap. Mohon bawa ke kantor di bawah ini.",
        "Laporan panjenengan ngentosi dokumen ingkang dereng jangkep."
        " Nyuwun dipunbekta dhateng kantor ing ngandhap punika.",
        "Your report waits for documents that are missing. Please bring them to the office below.",
    ),
    S.AT_SECRETARIAT: Text(
        "Laporan Anda ada di sekretariat dan akan diberikan kepada petugas.",
        "Laporan panjenengan wonten ing sekretariat lan badhe dipunparingaken dhateng petugas.",
        "Your report is at the secretariat and will be given to an officer.",
    ),
    S.ASSIGNED: Text(
        "Petugas akan datang ke rumah untuk bertanya dan mencatat keadaan.",
        "Petugas badhe rawuh ing griya saperlu nyuwun pirsa lan nyathet kawontenan.",
        "An officer will come to your home to ask questions and write down how things are.",
    ),
    S.RETURNED: Text(
        "Catatan kunjungan sedang dilengkapi oleh petugas.",
        "Cathetan rawuhipun petugas nembe dipunjangkepi.",
        "The officer is completing the notes of the visit.",
    ),
    S.AWAITING_SUPERVISOR: Text(
        "Laporan Anda sedang diperiksa oleh pengawas.",
        "Laporan panjenengan nembe dipunpriksa dening pengawas.",
        "Your report is being checked by the supervisor's office.",
    ),
    S.AWAITING_MANAGER: Text(
        "Laporan Anda sedang menunggu keputusan pimpinan SLRT.",
        "Laporan panjenengan nembe ngentosi putusan pimpinan SLRT.",
        "Your report waits for the decision of the SLRT management.",
    ),
    S.FORWARDED: Text(
        "Laporan Anda sudah diteruskan ke pemilik program. Merekalah yang memutuskan bantuan.",
        "Laporan panjenengan sampun dipunterusaken dhateng ingkang kagungan program."
        " Ingkang mutusaken pambiyantu inggih ingkang kagungan program.",
        "Your report has been passed on to those who run the programme. They decide on the aid.",
    ),
    S.ANSWERED: Text(
        "Laporan Anda sudah dijawab. Jawaban akan disampaikan kepada Anda.",
        "Laporan panjenengan sampun dipunwangsuli. Wangsulan badhe dipunaturaken"
        " dhateng panjenengan.",
        "Your report has an answer. It will be told to you.",
    ),
    S.CLOSED: Text(
        "Laporan Anda sudah selesai.",
        "Laporan panjenengan sampun rampung.",
        "Your report is closed.",
    ),
}

# What has happened, line by line.
DONE: dict[ComplaintAction, Text] = {
    A.SUBMIT: Text("Laporan diterima.", "Laporan dipuntampi.", "The report was received."),
    A.RESOLVE_NOW: Text(
        "Laporan langsung dijawab di kantor.",
        "Laporan langsung dipunwangsuli ing kantor.",
        "The report was answered at once, at the office.",
    ),
    A.REQUEST_DOCUMENTS: Text(
        "Kantor meminta dokumen yang kurang.",
        "Kantor nyuwun dokumen ingkang kirang.",
        "The office asked for missing documents.",
    ),
    A.COMPLETE_DOCUMENTS: Text(
        "Dokumen sudah dilengkapi.", "Dokumen sampun dipunjangkepi.", "The documents came in."
    ),
    A.RECORD_CONTACT: Text(
        "Kantor mencoba menghubungi Anda.",
        "Kantor nyobi ngubungi panjenengan.",
        "The office tried to reach you.",
    ),
    A.ARCHIVE: Text(
        "Laporan diarsipkan karena dokumen tidak dilengkapi.",
        "Laporan dipunarsipaken amargi dokumen boten dipunjangkepi.",
        "The report was archived, as the documents did not come.",
    ),
    A.FORWARD_TO_SECRETARIAT: Text(
        "Laporan diteruskan ke sekretariat.",
        "Laporan dipunterusaken dhateng sekretariat.",
        "The report went on to the secretariat.",
    ),
    A.ASSIGN: Text(
        "Petugas kunjungan ditunjuk.",
        "Petugas ingkang badhe rawuh sampun dipuntunjuk.",
        "An officer was chosen for the visit.",
    ),
    A.SUBMIT_WITHOUT_VISIT: Text(
        "Laporan diserahkan ke pengawas tanpa kunjungan.",
        "Laporan dipunaturaken dhateng pengawas tanpa rawuh ing griya.",
        "The report went to the supervisor's office without a visit.",
    ),
    A.REASSIGN: Text("Petugas diganti.", "Petugas dipungantos.", "Another officer was chosen."),
    A.SELF_ASSIGN: Text(
        "Petugas yang mencatat laporan di rumah melanjutkannya sendiri.",
        "Petugas ingkang nyathet laporan ing griya nglajengaken piyambak.",
        "The officer who took the report at your home goes on with it.",
    ),
    A.TRANSFER: Text(
        "Laporan dipindahkan ke kantor wilayah lain.",
        "Laporan dipunalih dhateng kantor wewengkon sanes.",
        "The report went to the office of another area.",
    ),
    A.JOIN: Text(
        "Laporan digabung dengan laporan lain tentang hal yang sama.",
        "Laporan dipungabung kaliyan laporan sanes bab ingkang sami.",
        "The report was joined with another one about the same matter.",
    ),
    A.HAND_BACK: Text(
        "Petugas mengembalikan tugas; petugas lain akan ditunjuk.",
        "Petugas mangsulaken tugas; petugas sanes badhe dipuntunjuk.",
        "The officer gave the task back; another one will be chosen.",
    ),
    A.RECORD_VISIT_ATTEMPT: Text(
        "Petugas datang, tetapi pendataan belum bisa dilakukan.",
        "Petugas sampun rawuh, nanging pendataan dereng saged dipuntindakaken.",
        "An officer came, but the questions could not be asked.",
    ),
    A.SUBMIT_SURVEY: Text(
        "Kunjungan selesai; hasilnya diserahkan ke pengawas.",
        "Rawuhipun petugas sampun rampung; asilipun dipunaturaken dhateng pengawas.",
        "The visit is done; its notes went to the supervisor's office.",
    ),
    A.RETURN_FOR_CORRECTION: Text(
        "Pengawas meminta catatan dilengkapi.",
        "Pengawas nyuwun cathetan dipunjangkepi.",
        "The supervisor's office asked for the notes to be completed.",
    ),
    A.APPROVE: Text(
        "Pengawas menyetujui.", "Pengawas nyarujuki.", "The supervisor's office agreed."
    ),
    A.RETURN_TO_SUPERVISOR: Text(
        "Pimpinan meminta pengawas memeriksa lagi.",
        "Pimpinan nyuwun pengawas mriksa malih.",
        "The management asked the supervisor's office to check again.",
    ),
    A.FORWARD: Text(
        "Laporan diteruskan ke pemilik program.",
        "Laporan dipunterusaken dhateng ingkang kagungan program.",
        "The report was passed on to those who run the programme.",
    ),
    A.ANSWER: Text("Laporan dijawab.", "Laporan dipunwangsuli.", "The report was answered."),
    A.REJECT: Text(
        "Laporan tidak dapat diteruskan; alasannya ada di jawaban.",
        "Laporan boten saged dipunterusaken; alesanipun wonten ing wangsulan.",
        "The report could not go on; the answer says why.",
    ),
    A.SETTLE: Text(
        "Pemilik program sudah menjawab.",
        "Ingkang kagungan program sampun mangsuli.",
        "Those who run the programme have answered.",
    ),
    A.CLOSE_UNANSWERED: Text(
        "Pemilik program tidak menjawab; kantor memberi penjelasan.",
        "Ingkang kagungan program boten mangsuli; kantor maringi katrangan.",
        "Those who run the programme did not answer; the office explains.",
    ),
    A.DELIVER_ANSWER: Text(
        "Kantor menyampaikan jawaban, atau mencoba menyampaikannya.",
        "Kantor ngaturaken wangsulan, utawi nyobi ngaturaken.",
        "The office told the answer, or tried to.",
    ),
    A.WITHDRAW: Text("Laporan ditarik.", "Laporan dipuntarik.", "The report was withdrawn."),
    A.REOPEN: Text(
        "Laporan dibuka lagi.", "Laporan dipunbikak malih.", "The report was opened again."
    ),
    A.SET_PRIORITY: Text(
        "Tingkat kedaruratan laporan diubah.",
        "Tataran wigatosipun laporan dipunewahi.",
        "How urgent the report is was changed.",
    ),
}

# What it came to. Details of a programme are told in person.
OUTCOMES: dict[Outcome, Text] = {
    Outcome.TRANSFERRED: Text(
        "Dipindahkan ke kabupaten/kota lain; bawalah surat pindahnya ke sana.",
        "Dipunalih dhateng kabupaten/kutha sanes; mangga layangipun dipunbekta mrika.",
        "Transferred to another regency or city; please take the letter there.",
    ),
    Outcome.JOINED: Text(
        "Digabung dengan laporan lain tentang hal yang sama.",
        "Dipungabung kaliyan laporan sanes bab ingkang sami.",
        "Joined with another report about the same matter.",
    ),
    Outcome.GRANTED: Text(
        "Disetujui oleh pemilik program.",
        "Dipunsarujuki dening ingkang kagungan program.",
        "Granted by those who run the programme.",
    ),
    Outcome.PARTLY_GRANTED: Text(
        "Sebagian disetujui oleh pemilik program.",
        "Saperangan dipunsarujuki dening ingkang kagungan program.",
        "Granted in part by those who run the programme.",
    ),
    Outcome.WAITLISTED: Text(
        "Masuk daftar tunggu, karena kuota penuh.",
        "Mlebet daftar ngentosi, amargi kuota kebak.",
        "On a waiting list, as the quota is full.",
    ),
    Outcome.DECLINED: Text(
        "Tidak disetujui oleh pemilik program.",
        "Boten dipunsarujuki dening ingkang kagungan program.",
        "Declined by those who run the programme.",
    ),
    Outcome.CANCELLED: Text("Dibatalkan.", "Dipunbatalaken.", "Cancelled."),
    Outcome.RESOLVED: Text(
        "Dijawab oleh kantor.", "Dipunwangsuli dening kantor.", "Answered by the office."
    ),
    Outcome.REJECTED: Text(
        "Tidak dapat diteruskan.", "Boten saged dipunterusaken.", "It could not go on."
    ),
    Outcome.UNANSWERED: Text(
        "Pemilik program tidak menjawab.",
        "Ingkang kagungan program boten mangsuli.",
        "Those who run the programme did not answer.",
    ),
    Outcome.WITHDRAWN: Text("Ditarik oleh pelapor.", "Dipuntarik dening pelapor.", "Withdrawn."),
    Outcome.ARCHIVED: Text(
        "Diarsipkan karena dokumen tidak dilengkapi. Laporan bisa dilanjutkan di kantor"
        " dengan membawa dokumen.",
        "Dipunarsipaken amargi dokumen boten jangkep. Laporan saged dipunlajengaken ing kantor"
        " kanthi mbekta dokumen.",
        "Archived for want of documents. Bring them to the office, and it goes on.",
    ),
}

# Which office it waits for: never a name.
OFFICES: dict[Role, Text] = {
    R.PUSKESOS_OFFICER: Text("Puskesos {place}", "Puskesos {place}", "Puskesos desk, {place}"),
    R.FRONT_OFFICE: Text(
        "Sekretariat SLRT, Dinas Sosial {place}",
        "Sekretariat SLRT, Dinas Sosial {place}",
        "SLRT secretariat at the social affairs office, {place}",
    ),
    R.FACILITATOR: Text(
        "Petugas lapangan SLRT, {place}",
        "Petugas lapangan SLRT, {place}",
        "SLRT field staff, {place}",
    ),
    R.SUPERVISOR: Text(
        "Pengawas SLRT, {place}", "Pengawas SLRT, {place}", "SLRT supervisors, {place}"
    ),
    R.MANAGER: Text("Pimpinan SLRT, {place}", "Pimpinan SLRT, {place}", "SLRT management, {place}"),
    R.AGENCY: Text(
        "Pemilik program, {place}",
        "Ingkang kagungan program, {place}",
        "The agency that runs the programme, {place}",
    ),
}

DOCUMENTS: dict[Document, Text] = {
    D.ID_CARD: Text("KTP", "KTP", "ID card (KTP)"),
    D.FAMILY_CARD: Text("Kartu Keluarga (KK)", "Kertu Kaluwarga (KK)", "Family card (KK)"),
    D.KELURAHAN_LETTER: Text(
        "Surat pengantar kelurahan/desa",
        "Serat pengantar kelurahan/desa",
        "Letter of the kelurahan or village",
    ),
    D.BIRTH_CERTIFICATE: Text("Akta kelahiran", "Akta kelairan", "Birth certificate"),
    D.DEATH_CERTIFICATE: Text("Akta kematian", "Akta seda", "Death certificate"),
    D.SCHOOL_LETTER: Text(
        "Surat keterangan sekolah", "Serat katrangan sekolah", "Letter of the school"
    ),
    D.MEDICAL_LETTER: Text(
        "Surat keterangan dokter", "Serat katrangan dokter", "Letter of a doctor or hospital"
    ),
    D.HOUSE_FRONT: Text(
        "Foto rumah tampak depan", "Foto griya saking ngajeng", "Photo of the house, front"
    ),
    D.HOUSE_INSIDE: Text(
        "Foto bagian dalam rumah", "Foto griya ing lebet", "Photo of the house, inside"
    ),
    D.OTHER: Text("Bukti tertulis lain", "Bukti serat sanesipun", "Some other written proof"),
}

# What somebody comes for, by kind and category.
MATTERS: dict[Kind | Category, Text] = {
    Kind.QUESTION: Text("Bertanya", "Nyuwun pirsa", "Asking a question"),
    Kind.SUGGESTION: Text("Memberi saran", "Maringi pamrayogi", "Making a suggestion"),
    G.SERVICE_QUALITY: Text(
        "Mengadukan pelayanan",
        "Ngaturaken wadul bab pelayanan",
        "Complaining about the service",
    ),
    G.ILLEGAL_FEE: Text(
        "Melaporkan pungutan liar",
        "Nglapuraken pungutan liar",
        "Reporting that somebody asked for money",
    ),
    G.CARD_PROBLEM: Text(
        "Kartu bantuan bermasalah", "Kertu pambiyantu wonten prekawis", "Trouble with an aid card"
    ),
    G.PROGRAM_NOT_RECEIVED: Text(
        "Bantuan tidak diterima", "Pambiyantu boten dipuntampi", "Aid that did not arrive"
    ),
    G.INCLUSION_REQUEST: Text(
        "Minta didata atau diusulkan menerima bantuan",
        "Nyuwun dipundata utawi dipunusulaken nampi pambiyantu",
        "Asking to be registered or proposed for aid",
    ),
    G.EXCLUSION_OBJECTION: Text(
        "Menyanggah penerima yang tidak tepat",
        "Nyanggah ingkang nampi nanging boten trep",
        "Objecting to somebody who should not receive aid",
    ),
    G.DATA_CORRECTION: Text("Memperbaiki data", "Ndandosi data", "Correcting data"),
    G.DEATH_REPORT: Text(
        "Melaporkan kematian",
        "Nglapuraken tiyang seda",
        "Reporting a death",
    ),
    G.OTHER: Text("Hal lain", "Prekawis sanes", "Something else"),
}

FREE = Text(
    "Semua layanan SLRT gratis. Jangan membayar siapa pun. Bila diminta uang, laporkan.",
    "Sedaya layanan SLRT gratis. Sampun mbayar dhateng sinten kemawon."
    " Menawi dipunsuwuni arta, kalapuraken.",
    "All SLRT services are free of charge. Pay nobody. If anyone asks for money, report it.",
)

# The brochure: how it goes, from the tables that decide it.
BROCHURE_TITLE = Text(
    "Alur layanan SLRT: dari laporan sampai jawaban",
    "Lampahing layanan SLRT: saking laporan dumugi wangsulan",
    "How SLRT works: from your report to the answer",
)
PROMISE_TEXT = Text(
    "Janji kami: dalam {hours} jam sejak diterima, laporan Anda ditangani."
    " Untuk keadaan darurat: {urgent} jam.",
    "Janji kula sedaya: salebetipun {hours} jam wiwit dipuntampi, laporan panjenengan"
    " dipuntangani. Kangge kawontenan darurat: {urgent} jam.",
    "Our promise: within {hours} hours of receipt your report is dealt with."
    " In an emergency: {urgent} hours.",
)
HOW_IT_GOES = Text("Langkah-langkah", "Undhak-undhakan", "Step by step")
AT_MOST = Text("paling lama {hours} jam", "paling dangu {hours} jam", "{hours} hours at most")
WHAT_TO_BRING = Text("Yang perlu dibawa", "Ingkang kedah dipunbekta", "What to bring")
NOTHING_TO_BRING = Text("tidak perlu dokumen", "boten betah dokumen", "no documents needed")
OR = Text("atau", "utawi", "or")
HOME_VISIT = Text(
    "petugas datang ke rumah", "petugas rawuh ing griya", "an officer visits your home"
)
MATTER = Text("Keperluan", "Kabetahan", "What for")
WHERE_TO_GO = Text("Ke mana", "Dhateng pundi", "Where to go")
CHECK_IT = Text(
    "Cek laporan Anda dengan nomor tiket dan PIN:",
    "Mriksani laporan panjenengan kanthi nomer tiket lan PIN:",
    "Check your report with ticket number and PIN:",
)
NO_DOCUMENTS = Text(
    "Tidak punya dokumennya, atau hilang? Datanglah juga: kami bantu mengurusnya.",
    "Boten gadhah dokumenipun, utawi ical? Mugi tetep rawuh: kula biyantu ngurus.",
    "You have no such document, or lost it? Come all the same: we help you to get it.",
)
WITHOUT_DESK = Text(
    "Pelayanan buruk atau pungutan liar bisa dilaporkan tanpa lewat loket, juga tanpa nama.",
    "Pelayanan awon utawi pungutan liar saged dipunlapuraken boten langkung loket, ugi tanpa asma.",
    "Bad service or illegal fees can be reported without going to a desk, also without a name.",
)
DAYS: dict[str, Text] = {
    "mon": Text("Senin", "Senen", "Monday"),
    "tue": Text("Selasa", "Selasa", "Tuesday"),
    "wed": Text("Rabu", "Rebo", "Wednesday"),
    "thu": Text("Kamis", "Kemis", "Thursday"),
    "fri": Text("Jumat", "Jemuwah", "Friday"),
    "sat": Text("Sabtu", "Setu", "Saturday"),
    "sun": Text("Minggu", "Minggu", "Sunday"),
}
# What a citizen sees of the way: the states in their order, and what happens in each.
WAY: dict[ComplaintState, Text] = {
    S.RECEIVED: Text(
        "Loket Puskesos menerima laporan, memberi tiket dengan PIN, dan memeriksa dokumen.",
        "Loket Puskesos nampi laporan, maringi tiket kaliyan PIN, lan mriksa dokumen.",
        "The Puskesos desk takes the report, gives a ticket with a PIN, and checks documents.",
    ),
    S.AT_SECRETARIAT: Text(
        "Sekretariat di Dinas Sosial menunjuk petugas.",
        "Sekretariat ing Dinas Sosial nunjuk petugas.",
        "The secretariat at the social affairs office chooses an officer.",
    ),
    S.ASSIGNED: Text(
        "Petugas datang ke rumah dan mencatat keadaan.",
        "Petugas rawuh ing griya lan nyathet kawontenan.",
        "An officer visits your home and writes down how things are.",
    ),
    S.AWAITING_SUPERVISOR: Text(
        "Pengawas memeriksa.", "Pengawas mriksa.", "The supervisor checks."
    ),
    S.AWAITING_MANAGER: Text(
        "Pimpinan memutuskan dan meneruskan.",
        "Pimpinan mutusaken lan nerusaken.",
        "The management decides and passes it on.",
    ),
    S.FORWARDED: Text(
        "Pemilik program memutuskan bantuan. Ini bisa lama, tergantung kuota.",
        "Ingkang kagungan program mutusaken pambiyantu. Punika saged dangu, gumantung kuota.",
        "Those who run the programme decide on the aid. This may take long, depending on quotas.",
    ),
    S.ANSWERED: Text(
        "Jawaban disampaikan kepada Anda, juga bila ditolak.",
        "Wangsulan dipunaturaken dhateng panjenengan, ugi menawi dipuntampik.",
        "The answer is told to you, also when it is a refusal.",
    ),
}
