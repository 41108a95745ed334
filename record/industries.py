"""Industries: the sections and divisions of GB/T 4754-2017, and the trade that a name or a registry's column states."""

import re
import unicodedata
from functools import lru_cache

SECTIONS: dict[str, tuple[str, str]] = {
    "A": ("农、林、牧、渔业", "Agriculture, forestry, animal husbandry and fishery"),
    "B": ("采矿业", "Mining"),
    "C": ("制造业", "Manufacturing"),
    "D": ("电力、热力、燃气及水生产和供应业", "Electricity, heat, gas and water"),
    "E": ("建筑业", "Construction"),
    "F": ("批发和零售业", "Wholesale and retail trade"),
    "G": ("交通运输、仓储和邮政业", "Transport, storage and post"),
    "H": ("住宿和餐饮业", "Accommodation and catering"),
    "I": ("信息传输、软件和信息技术服务业", "Information transmission, software and IT services"),
    "J": ("金融业", "Finance"),
    "K": ("房地产业", "Real estate"),
    "L": ("租赁和商务服务业", "Leasing and business services"),
    "M": ("科学研究和技术服务业", "Scientific research and technical services"),
    "N": ("水利、环境和公共设施管理业", "Water, environment and public facilities"),
    "O": ("居民服务、修理和其他服务业", "Resident services, repair and other services"),
    "P": ("教育", "Education"),
    "Q": ("卫生和社会工作", "Health and social work"),
    "R": ("文化、体育和娱乐业", "Culture, sports and entertainment"),
    "S": ("公共管理、社会保障和社会组织", "Public administration, social security and organisations"),
    "T": ("国际组织", "International organisations"),
}
"""门类, A to T."""

DIVISIONS: dict[str, tuple[str, str]] = {
    "01": ("农业", "Farming"),
    "02": ("林业", "Forestry"),
    "03": ("畜牧业", "Animal husbandry"),
    "04": ("渔业", "Fishery"),
    "05": ("农、林、牧、渔专业及辅助性活动", "Support for farming, forestry, husbandry and fishery"),
    "06": ("煤炭开采和洗选业", "Coal mining and washing"),
    "07": ("石油和天然气开采业", "Extraction of petroleum and natural gas"),
    "08": ("黑色金属矿采选业", "Mining of ferrous metal ores"),
    "09": ("有色金属矿采选业", "Mining of non-ferrous metal ores"),
    "10": ("非金属矿采选业", "Mining of non-metal ores"),
    "11": ("开采专业及辅助性活动", "Support for mining"),
    "12": ("其他采矿业", "Other mining"),
    "13": ("农副食品加工业", "Processing of agricultural food"),
    "14": ("食品制造业", "Manufacture of food"),
    "15": ("酒、饮料和精制茶制造业", "Manufacture of liquor, beverages and refined tea"),
    "16": ("烟草制品业", "Manufacture of tobacco"),
    "17": ("纺织业", "Manufacture of textiles"),
    "18": ("纺织服装、服饰业", "Manufacture of garments"),
    "19": ("皮革、毛皮、羽毛及其制品和制鞋业", "Manufacture of leather, fur, feather and footwear"),
    "20": ("木材加工和木、竹、藤、棕、草制品业", "Processing of timber, wood, bamboo, rattan and straw"),
    "21": ("家具制造业", "Manufacture of furniture"),
    "22": ("造纸和纸制品业", "Manufacture of paper"),
    "23": ("印刷和记录媒介复制业", "Printing and reproduction of recorded media"),
    "24": ("文教、工美、体育和娱乐用品制造业", "Manufacture of articles for culture, art, sport and entertainment"),
    "25": ("石油、煤炭及其他燃料加工业", "Processing of petroleum, coal and other fuels"),
    "26": ("化学原料和化学制品制造业", "Manufacture of chemicals"),
    "27": ("医药制造业", "Manufacture of medicines"),
    "28": ("化学纤维制造业", "Manufacture of chemical fibres"),
    "29": ("橡胶和塑料制品业", "Manufacture of rubber and plastics"),
    "30": ("非金属矿物制品业", "Manufacture of non-metallic mineral products"),
    "31": ("黑色金属冶炼和压延加工业", "Smelting and rolling of ferrous metals"),
    "32": ("有色金属冶炼和压延加工业", "Smelting and rolling of non-ferrous metals"),
    "33": ("金属制品业", "Manufacture of metal products"),
    "34": ("通用设备制造业", "Manufacture of general machinery"),
    "35": ("专用设备制造业", "Manufacture of special machinery"),
    "36": ("汽车制造业", "Manufacture of motor vehicles"),
    "37": ("铁路、船舶、航空航天和其他运输设备制造业", "Manufacture of trains, ships, aircraft and other vehicles"),
    "38": ("电气机械和器材制造业", "Manufacture of electrical machinery"),
    "39": ("计算机、通信和其他电子设备制造业", "Manufacture of computers and electronics"),
    "40": ("仪器仪表制造业", "Manufacture of instruments"),
    "41": ("其他制造业", "Other manufacturing"),
    "42": ("废弃资源综合利用业", "Recycling of waste"),
    "43": ("金属制品、机械和设备修理业", "Repair of metal products and machinery"),
    "44": ("电力、热力生产和供应业", "Electricity and heat"),
    "45": ("燃气生产和供应业", "Gas"),
    "46": ("水的生产和供应业", "Water"),
    "47": ("房屋建筑业", "Construction of buildings"),
    "48": ("土木工程建筑业", "Civil engineering"),
    "49": ("建筑安装业", "Building installation"),
    "50": ("建筑装饰、装修和其他建筑业", "Building decoration and other construction"),
    "51": ("批发业", "Wholesale trade"),
    "52": ("零售业", "Retail trade"),
    "53": ("铁路运输业", "Railway transport"),
    "54": ("道路运输业", "Road transport"),
    "55": ("水上运输业", "Water transport"),
    "56": ("航空运输业", "Air transport"),
    "57": ("管道运输业", "Pipeline transport"),
    "58": ("多式联运和运输代理业", "Multimodal transport and forwarding"),
    "59": ("装卸搬运和仓储业", "Loading and storage"),
    "60": ("邮政业", "Post"),
    "61": ("住宿业", "Accommodation"),
    "62": ("餐饮业", "Catering"),
    "63": ("电信、广播电视和卫星传输服务", "Telecommunications and broadcasting transmission"),
    "64": ("互联网和相关服务", "Internet services"),
    "65": ("软件和信息技术服务业", "Software and IT services"),
    "66": ("货币金融服务", "Monetary and financial services"),
    "67": ("资本市场服务", "Capital market services"),
    "68": ("保险业", "Insurance"),
    "69": ("其他金融业", "Other finance"),
    "70": ("房地产业", "Real estate"),
    "71": ("租赁业", "Leasing"),
    "72": ("商务服务业", "Business services"),
    "73": ("研究和试验发展", "Research and experimental development"),
    "74": ("专业技术服务业", "Professional technical services"),
    "75": ("科技推广和应用服务业", "Technology promotion and application"),
    "76": ("水利管理业", "Water conservancy"),
    "77": ("生态保护和环境治理业", "Ecological protection and environmental treatment"),
    "78": ("公共设施管理业", "Management of public facilities"),
    "79": ("土地管理业", "Land management"),
    "80": ("居民服务业", "Resident services"),
    "81": ("机动车、电子产品和日用产品修理业", "Repair of vehicles, electronics and household goods"),
    "82": ("其他服务业", "Other services"),
    "83": ("教育", "Education"),
    "84": ("卫生", "Health"),
    "85": ("社会工作", "Social work"),
    "86": ("新闻和出版业", "News and publishing"),
    "87": ("广播、电视、电影和录音制作业", "Broadcasting, film and sound recording"),
    "88": ("文化艺术业", "Culture and arts"),
    "89": ("体育", "Sports"),
    "90": ("娱乐业", "Entertainment"),
    "91": ("中国共产党机关", "Organs of the Communist Party of China"),
    "92": ("国家机构", "State organs"),
    "93": ("人民政协、民主党派", "People's political consultative conference and democratic parties"),
    "94": ("社会保障", "Social security"),
    "95": ("群众团体、社会团体和其他成员组织", "Mass organisations, social organisations and other membership bodies"),
    "96": ("基层群众自治组织及其他组织", "Grassroots self-governing organisations"),
    "97": ("国际组织", "International organisations"),
}
"""大类, 01 to 97."""

_LAST_OF_SECTION = {
    "A": 5, "B": 12, "C": 43, "D": 46, "E": 50, "F": 52, "G": 60, "H": 62, "I": 65, "J": 69,
    "K": 70, "L": 72, "M": 75, "N": 79, "O": 82, "P": 83, "Q": 85, "R": 90, "S": 96, "T": 97,
}  # fmt: skip
SECTION_OF: dict[str, str] = {
    division: next(section for section, last in _LAST_OF_SECTION.items() if int(division) <= last)
    for division in DIVISIONS
}
"""Division -> its section."""

_TRADES = {
    "01": "种植 果蔬 蔬菜 果品 果园 瓜果 西瓜 葡萄 草莓 水稻 粮食 食用菌 花卉 苗木 农场 农业 生态农业 芦荟",
    "02": "林业 园艺场",
    "03": "养殖 畜牧 畜禽 禽业 生猪 奶牛 家禽",
    "04": "水产养殖 水产品养殖 渔业 对虾 河虾 虾蟹",
    "05": "农机服务 农业服务 农资服务 植保",
    "13": "粮油加工 饲料 碾米 屠宰 豆制品",
    "14": "食品厂 食品制造 乳业 糕点厂",
    "15": "酿酒 酒厂 饮料厂 茶厂",
    "17": "纺织 针织 印染 织造 毛纺 棉纺 织带 织布 巾被 床上用品",
    "18": "服装厂 制衣 服饰厂 时装厂 羊毛衫 服装辅料厂",
    "19": "皮革 皮件 制鞋 鞋厂 皮鞋厂",
    "20": "木业 木材加工 木制品 竹木",
    "21": "家具 家私",
    "22": "造纸 纸业 纸制品 纸品 包装材料 纸箱",
    "23": "印刷 印务 印刷包装",
    "24": "文具 乐器 玩具 工艺品厂 工艺美术",
    "25": "石油化工 石化",
    "26": "化工厂 化学 涂料 油墨 颜料 染料 香料 日化 树脂 粘合剂 胶粘剂",
    "27": "制药 药业 生物医药",
    "28": "化纤",
    "29": "塑料 塑胶 橡胶 橡塑 塑料制品 塑业 模塑 橡胶制品 塑料五金",
    "30": "玻璃 陶瓷 水泥 混凝土 石材 耐火材料 建材厂 大理石 石膏",
    "31": "钢厂 炼钢 铸钢 特钢 铸铁",
    "32": "有色金属 铜业 铝业 铜材 铝材",
    "33": "五金 金属制品 五金制品 紧固件 标准件 工具 钢结构 不锈钢 金属 模具 锁业 弹簧 五金加工 铝合金",
    "34": "机械 阀门 轴承 水泵 泵业 电梯 压缩机 制冷 液压 气动 机床 风机 机械设备 机械配件 机械制造 锅炉 齿轮"
    " 密封件 流体",
    "35": "专用设备 医疗器械 医疗设备 印刷机械 包装机械 塑料机械 纺织机械 食品机械 环保设备",
    "36": "汽车配件 汽车零部件 汽配 车业 汽车制造 车辆配件",
    "37": "船舶 造船 自行车 摩托车 航空航天 轨道交通设备 电动车",
    "38": "电器 电气 电缆 电线 照明 灯具 电机 变压器 开关 电源 电池 蓄电池 电力设备 电工 灯饰 光伏 电线电缆",
    "39": "电子 半导体 集成电路 通信设备 通讯设备 微电子 光电 电子元件 芯片 电子仪器",
    "40": "仪器 仪表 仪器仪表 自动化仪表 钟表 眼镜 衡器",
    "41": "日用品厂 制刷",
    "42": "再生资源 废旧物资 废品回收 物资回收 废旧金属",
    "43": "设备维修 机械维修 修船",
    "44": "电力 供电 发电 热电 热力 新能源",
    "45": "燃气 煤气 液化气 天然气",
    "46": "自来水 供水 水务",
    "47": "建筑 建设 建筑工程 建设工程 建设发展 建设集团 房屋建筑",
    "48": "市政 市政工程 公路工程 道桥 隧道 路桥 水利工程 园林 绿化 园林绿化 园林工程 绿化工程 土石方 桥梁",
    "49": "安装 安装工程 机电安装 消防工程 机电工程 暖通工程 空调工程 设备安装 弱电工程 消防",
    "50": "装饰 装潢 装修 建筑装饰 装饰设计 装饰工程 装饰装潢 幕墙 劳务 建筑劳务 防水 工程",
    "51": "贸易 商贸 经贸 工贸 进出口 物资 商务 供应链 供应链管理 实业发展 国际贸易 化工 建材 钢铁 建筑材料 机电"
    " 机电设备"
    " 化工原料 化工产品 化工科技 装饰材料 服饰 服装 农产品 食品 粮油 酒业 茶业 茶叶 办公用品 工业品 五金机电"
    " 五金电器 金属材料 物贸"
    " 医药 日用品 百货 轻纺 水产品 副食品 生产资料 批发 钢材 煤炭 石油 燃料 矿产品 工艺礼品 礼品 文化用品 化妆品"
    " 珠宝 首饰 酒类 烟草"
    " 木材 工贸发展 纺织品 机械设备贸易 电子产品 通讯器材 供销 购销 经销 农资 汽车贸易 汽车用品",
    "52": "超市 商店 百货商店 便利店 药房 药店 大药房 商场 加油站 零售 门店 专卖店 汽车销售 汽车销售服务 综合商店"
    " 食品商店 书店"
    " 烟酒 电子商务 小卖部 代购代销店 便利 生活超市 杂货店 购物中心 水果店 眼镜店 花店 五金店 购物 烟草糖酒 菜场"
    " 菜市场 集贸市场"
    " 烟杂店 服装店 新鲜屋",
    "53": "铁路 铁路运输",
    "54": "运输 货运 客运 汽车运输 公交 公共交通 出租汽车 物流 停车 停车场 停车场库 驾驶员培训 储运 快运 汽车服务公司",
    "55": "航运 海运 船务 港务 船舶运输 轮船 码头",
    "56": "航空 航空运输 机场 航空服务",
    "58": "货运代理 国际货运代理 国际物流 货代 国际货运",
    "59": "仓储 装卸 搬运 冷藏 搬场",
    "60": "快递 邮政 速递 邮政支局 邮政所",
    "61": "酒店 宾馆 旅馆 饭店 招待所 旅社 客栈 民宿 大酒店 酒店管理 宾舍 度假村",
    "62": "餐饮 餐厅 餐饮管理 酒家 酒楼 小吃 火锅 咖啡 面馆 快餐 美食 饮食 点心店 饭馆 茶馆 小吃店 面包 烘焙"
    " 大饭店 餐馆 食府 茶室",
    "63": "通信 电信 移动通信 有线网络 通信服务 营业厅 通讯",
    "64": "互联网 网络服务 互联网信息服务 网吧",
    "65": "软件 信息技术 信息科技 计算机 计算机科技 网络科技 网络技术 网络 数据 智能科技 信息系统 系统集成 信息"
    " 数码科技 电脑"
    " 计算机系统 数字科技 云计算 人工智能 大数据 软件技术 软件科技 数码 信息咨询服务",
    "66": "银行 典当 小额贷款 融资租赁 财务公司 信用社 农村商业银行 储蓄所",
    "67": "证券 期货 基金 股权投资 资产管理 投资中心 创业投资 私募基金 基金管理 证券营业部 投资合伙企业",
    "68": "保险 保险代理 保险经纪 人寿保险 财产保险 保险公估 养老保险",
    "69": "信托 融资担保 担保 金融信息服务 支付 金融",
    "70": "房地产 置业 物业 物业管理 房产 房地产开发 房地产经纪 房地产咨询 不动产 地产 物业服务 房屋 房地产营销策划",
    "71": "租赁 汽车租赁 设备租赁 机械租赁 建筑设备租赁",
    "72": "投资 投资管理 投资咨询 咨询 管理咨询 企业管理 广告 广告传媒 商务咨询 人力资源 人才 会展 会展服务 展览"
    " 展览展示 律师事务所"
    " 会计师事务所 旅行社 旅游 国际旅行社 知识产权 市场营销 营销策划 企业管理咨询 财务咨询 保安 保安服务 劳务派遣"
    " 控股 企业发展"
    " 商业管理 企业服务 商务服务 公关 策划 经济发展 经济技术 翻译 信用 税务师事务所 代理记账 财税 公关策划 招标"
    " 拍卖 市场管理"
    " 票务 品牌管理 营销 展示 创意 集团管理 企业形象策划 礼仪服务 文化传播 广告设计 经济信息咨询 人才服务 劳动服务"
    " 对外服务",
    "73": "研究院 研究所 研发 生物技术 生物科技 科学研究",
    "74": "设计 建筑设计 检测 测绘 勘察 工程设计 监理 建设监理 检测技术 计量 工程咨询 工业设计 造价咨询 景观设计"
    " 规划设计 质量检测"
    " 建筑规划设计 室内设计 工程监理 认证 服装设计 气象 规划建筑设计 建筑设计咨询 图文设计",
    "75": "科技 技术 科技发展 技术服务 技术开发 技术咨询 高科技 技术发展 新材料科技 新材料 节能科技 能源科技 科贸"
    " 自动化 科技中心 工程技术"
    " 智能化 材料科技 自动化科技 环境科技 医药科技 电子科技 机电科技 机械科技 化工科技 生物工程",
    "76": "水利 河道",
    "77": "环保 环境工程 环境保护 环保工程 环境治理 水处理 环保科技 环境技术 环境",
    "78": "保洁服务所 环卫 公园 景区 市容 环境卫生 动物园 植物园 城市管理",
    "79": "土地",
    "80": "美容 美发 美容美发 理发 洗浴 家政 家政服务 婚庆 婚介 洗衣 洗染 殡葬 足浴 浴室 摄影 摄像 月子 养生"
    " 理发店 美容店 沐浴 照相馆 托管"
    " 图文 婚纱摄影",
    "81": "汽车维修 汽车修理 修理 汽修 维修 电器维修 家电维修 汽车修理厂 汽车美容 修理厂 修理部",
    "82": "保洁 清洁 宠物 清洗 保洁服务 综合服务站",
    "83": "教育 培训 学校 幼儿园 教育科技 教育培训 教育咨询 培训中心 早教 职业培训",
    "84": "医院 门诊部 诊所 口腔 体检 卫生 医疗 口腔门诊部 健康管理 卫生所 健康",
    "85": "养老 养老院 敬老院 托老 养老服务 福利院",
    "86": "出版 出版社 报业 期刊 新闻 杂志社",
    "87": "影视 电影 影业 广播 电视 影院 影城 音像 影视文化 影视制作 录音",
    "88": "文化 艺术 文化艺术 演出 文化传媒 传媒 画廊 文化发展 艺术品 文艺 剧院 演艺",
    "89": "体育 健身 体育发展 体育文化 高尔夫 足球 健身服务 瑜伽",
    "90": "娱乐 游戏 歌舞厅 卡拉OK KTV 游乐 棋牌 酒吧 游戏机 桌球 歌城 俱乐部 娱乐总汇",
    "95": "协会 学会 商会 基金会 研究会 联合会 促进会 工会",
    "C": "设备 装备 材料 器材 配件 零部件 涂装 门业 制造厂 制造 厂 制品 制品厂 加工厂 实业厂 设备制造 总厂",
    "F": "经营部 销售 门市部 经营 供应站 商行 贸易部 商厦 商业 服务部经营",
    "O": "服务社 服务部 生活服务",
    "G": "物流园",
    "A": "专业合作社 合作社 农业科技 水产 农产品专业",
    "J": "分理处 金融服务",
}
"""Division, or section where the word says no more -> words by which a name states its trade. The last word decides."""

_CODES = {word: code for code, words in _TRADES.items() for word in words.split()}
# Words by their last character, the longest first: a name is read from its end, and the first word met decides.
_ENDINGS: dict[str, list[str]] = {}
for _word in sorted(_CODES, key=len, reverse=True):
    _ENDINGS.setdefault(_word[-1], []).append(_word)
# A factory makes what it names, a shop sells it, whatever the word alone would stand for.
_FACTORY_MAKES = {"51": "C", "62": "14", "75": "C", "50": "C", "54": "C", "61": "C"}
_REGISTERED = re.compile(r"([A-T])?(\d{2})?\d{0,2}")


Industry = tuple[str | None, str | None]
"""Section and division."""


def of_name(name: str) -> Industry:
    """Section and division that the name of an entity states: 上海青禾照明电器厂 gives C, 38.

    The division is None where the name says no more than the section, both are None where it says nothing.
    """
    word, end = _last_word(name)
    if word is None:
        return None, None
    code = _CODES[word]
    if code == "C":
        code = _made_in_factory(name[: end - len(word)]) or "C"
    return (SECTION_OF[code], code) if code in DIVISIONS else (code, None)


def _last_word(name: str) -> tuple[str | None, int]:
    """The last word of _CODES that `name` holds, and where it ends."""
    whole = len(name) - 4 if name.endswith("有限公司") else len(name)
    for end in range(whole, 0, -1):
        for word in _ENDINGS.get(name[end - 1], ()):
            if name.endswith(word, 0, end):
                return word, end
    return None, 0


def _made_in_factory(before: str) -> str | None:
    """The division of what a factory makes, when the word right before it says so: 五金 + 厂."""
    word, end = _last_word(before)
    if word is None or end < len(before):
        return None
    code = _FACTORY_MAKES.get(_CODES[word], _CODES[word])
    return code if SECTION_OF.get(code) == "C" else None


@lru_cache(maxsize=4096)
def of_text(text: str) -> Industry:
    """Section and division of a registry's own words or number: F, F51, F5191, 5191, 批发业, 批发和零售业."""
    wanted = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    if (found := _REGISTERED.fullmatch(wanted)) and wanted:
        section, division = found[1], found[2]
        if division in SECTION_OF and section in (None, SECTION_OF[division]):
            return SECTION_OF[division], division
        return (section, None) if section and not division else (None, None)
    return _TITLES.get(wanted.replace("、", "").replace("和", "").removesuffix("业"), (None, None))


def _titles() -> dict[str, Industry]:
    found: dict[str, Industry] = {}
    for division, titles in DIVISIONS.items():
        for title in titles:
            found[_bare(title)] = (SECTION_OF[division], division)
    for section, titles in SECTIONS.items():  # 教育 and 房地产业 name both; the section says no more than is known
        for title in titles:
            found.setdefault(_bare(title), (section, None))
    return found


def _bare(title: str) -> str:
    return "".join(title.split()).upper().replace("、", "").replace("和", "").removesuffix("业")


_TITLES = _titles()
